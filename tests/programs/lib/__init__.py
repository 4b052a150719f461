"""Parts of the driver that runs real programs on an allocator; see ../run."""
