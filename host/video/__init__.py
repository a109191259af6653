"""Videos in ComfyUI's folders and on its sockets: loaded, and written.

What is written is decided once, before a frame is made (``save_settings``). One file a run, under another name until it is
whole (``output_files``). Which encoders open is asked once per ffmpeg program (``formats``): the one thing that is kept
between runs, because it is a fact of the machine.
"""
