"""SparseCtrl: a ControlNet whose hints are a few key images of a clip."""
