"""The portal's snapshot store, and the snapshots in it."""
