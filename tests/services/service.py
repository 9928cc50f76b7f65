"""What all services that tests start have in common."""

from typing import Self


class Service:
    """Runs for the length of a `with` block; a test may stop and start it meanwhile."""

    def start(self) -> None:
        """Start it, and wait until it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Stop it for good, and remove what it leaves."""
        self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
