"""Which devices OpenVINO finds on this computer, and what each can compute in."""

from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import version

# What OpenVINO calls them in a device's OPTIMIZATION_CAPABILITIES.
_CAPABILITIES = {"bf16": "BF16", "f16": "FP16"}


@dataclass(frozen=True)
class Device:
    """A device that OpenVINO lists.

    Parameters
    ----------
    name : str
        Such as "CPU" or "GPU.0".
    full_name : str
        Of the hardware.
    precisions : tuple of str
        What it can compute in, of `PRECISIONS`, "f32" first.
    """

    name: str
    full_name: str
    precisions: tuple[str, ...]


def list_devices() -> tuple[Device, ...]:
    """Return the devices of this computer, in OpenVINO's order."""
    import openvino

    core = openvino.Core()
    devices = []
    for name in core.available_devices:
        able = core.get_property(name, "OPTIMIZATION_CAPABILITIES")
        precisions = [each for each in ("bf16", "f16") if _CAPABILITIES[each] in able]
        full_name = str(core.get_property(name, "FULL_DEVICE_NAME")).strip()
        devices.append(Device(name, full_name, ("f32", *precisions)))
    return tuple(devices)


def is_listed(device: str, listed: Collection[str]) -> bool:
    """Return whether OpenVINO takes a name for one of the devices that it lists.

    It takes "GPU" for the first of several, and "GPU.0" for the only one.

    Parameters
    ----------
    device : str
    listed : collection of str
        Such as ("CPU", "GPU.0", "GPU.1").
    """
    family, _, number = device.partition(".")
    families = {name.partition(".")[0] for name in listed}
    return device in listed or (family in families and number in ("", "0"))


def openvino_version() -> str:
    """Return the version of OpenVINO, such as "2026.4.1"."""
    return version("openvino")
