"""The Write it page: lines of the iteration to write, each judged, and a training with one's own gradient."""
