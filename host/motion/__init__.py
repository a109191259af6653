"""Motion models on a MODEL: loaded, applied, checked, and run in each UNet call.

Nothing is inserted into the UNet, and nothing of ours is stored on it: a clone that is garbage-collected would take
injections out of the UNet it shares with others. The motion network is an additional ModelPatcher, so the host loads,
offloads and clones it like any model; settings are frozen records in an attachment; what a UNet call needs is one object
that lives as long as the call (``unet_call``). Families that took norms over all frames in training get them for the
length of the call (``group_norms``). The noise schedule is an object patch (``noise_schedule``).
"""
