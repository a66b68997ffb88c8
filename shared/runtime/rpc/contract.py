"""Which contract a class is written for."""

from importlib import import_module

from google.protobuf.descriptor import ServiceDescriptor


def of(what: object) -> ServiceDescriptor:
    """The contract of a servicer or a stub, or of its class: that of the generated class which it comes from.

    Raises TypeError for one that comes from none, or from two.
    """
    cls = what if isinstance(what, type) else type(what)
    generated = [base for base in cls.__mro__ if base.__module__.endswith("_pb2_grpc")]
    if len(generated) != 1:
        found = " and ".join(base.__name__ for base in generated) or "none"
        raise TypeError(f"{cls.__qualname__} has to come from one generated class, and comes from {found}")
    [base] = generated
    file = import_module(base.__module__.removesuffix("_grpc")).DESCRIPTOR
    contract: ServiceDescriptor = file.services_by_name[base.__name__.removesuffix("Servicer").removesuffix("Stub")]
    return contract
