"""The networks: motion modules and the encoders beside them."""
