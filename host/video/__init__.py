"""Videos in ComfyUI's folders and on its sockets: loaded, and written."""
