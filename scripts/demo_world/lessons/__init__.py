"""What is taught, in which order, and the loops that do it; training motion needs the whole pack."""
