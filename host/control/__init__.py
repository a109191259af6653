"""ControlNets that follow the frames of a clip, and the frames they get as hints."""
