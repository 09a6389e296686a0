"""A run or a sweep as files, or as a script of its own."""
