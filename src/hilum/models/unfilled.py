"""Networks whose tensors are not filled at random: they are loaded next, or only have shapes."""

from typing import Any

from torch.overrides import TorchFunctionMode


class Unfilled(TorchFunctionMode):
    """Leaves tensors as they are where they would be filled at random.

    For networks whose tensors are loaded next: the random numbers would take most of the time. On
    the meta device there is nothing to fill, and torch loads its compiler to find that out.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call `func`, or hand its tensor back."""
        kwargs = kwargs or {}
        home = getattr(func, "__module__", "")  # some are slots of C, which have none
        if home == "torch.nn.init" or func.__name__ in ("normal_", "uniform_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
