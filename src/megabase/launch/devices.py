"""Which devices JAX sees, and whether they are those that were asked for."""

from __future__ import annotations

from megabase.errors import InputError


def seen() -> tuple[set[str], str]:
    """The platforms JAX can use, and its devices in words. Raises InputError where it cannot start."""
    import jax

    try:
        devices = jax.devices()
    except RuntimeError as error:
        said = " ".join(str(error).split())[:200]
        remedy = "check the driver, and the variable JAX_PLATFORMS"
        raise InputError(f"cannot start: {said}", where="jax", remedy=remedy) from None
    kinds = [f"{device.platform} {device.device_kind}" for device in devices]
    return {device.platform for device in devices}, ", ".join(
        f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)
    )


def require(accelerator: str) -> None:
    """Raises InputError where JAX does not see such a device: it would compute on the processor, for years."""
    platforms, _ = seen()
    if accelerator not in platforms:
        extra = "cuda" if accelerator == "gpu" else accelerator
        raise InputError(
            f"no {accelerator} is seen, only {', '.join(sorted(platforms))}",
            where="jax",
            remedy=f"install the support with `make setup EXTRAS=dev,{extra}`, and check the driver",
        )
