"""SparseCtrl: a ControlNet whose hints are a few key images of a clip.

A subclass of core's ControlNet whose motion modules are its children. It sees windows whole, because its frames interact.
"""
