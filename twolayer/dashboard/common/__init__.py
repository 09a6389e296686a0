"""What the pages share: the frame, the address, the controls, the server and its visitors."""
