"""Options of commands, made from what parameter sets say about themselves."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

import typer

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.parameters import Parameter, describe

Values = TypeVar("Values")
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class OptionGroup:
    """The options that are made of one parameter set.

    Parameters
    ----------
    parameter_set : type
    left_out : sequence of str, optional
        Parameters that are no options.
    names : mapping of str to str, optional
        What options are called whose parameter has a name that says too little by itself.
    otherwise : str, optional
        What may count instead of the default.
    needs : str, optional
        The option without which these mean nothing.
    not_offered : mapping of str to str, optional
        By parameter, a choice that the command has not; a sentence of the tip about it goes too.
    """

    parameter_set: type
    left_out: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    otherwise: str = ""
    needs: str = ""
    not_offered: Mapping[str, str] = field(default_factory=dict)

    def options(self) -> Iterator[tuple[str, str, Parameter, Any]]:
        """Give for each option its name, the parameter, what there is to say, and its type."""
        types = get_type_hints(self.parameter_set)
        for name, about in describe(self.parameter_set).items():
            if name not in self.left_out:
                kind, told = _without(self.not_offered.get(name), types[name], about)
                yield self.names.get(name, name), name, told, kind

    def with_given(self, values: Values, given: Mapping[str, Any]) -> Values:
        """Return a value of the set with what the command line says changed.

        Parameters
        ----------
        values : parameter set
        given : mapping of str to object
            By names of options; None is not given.

        Raises
        ------
        InputError
            If a value is outside its limits.
        """
        changes = {
            name: given[option]
            for option, name, _, _ in self.options()
            if given.get(option) is not None
        }
        return replace(values, **changes)  # type: ignore[type-var]


def refuse_given(given: Mapping[str, Any], options: Iterable[str], where: str) -> None:
    """Raise InputError if one of some options is given that would do nothing.

    Parameters
    ----------
    given : mapping of str to object
        By names of options; None is not given.
    options : iterable of str
        Their names.
    where : str
        Why they would not, such as "without --prompts".
    """
    for option in options:
        if given.get(option) is not None:
            raise InputError(f"{_flag(option)} does nothing {where}: change that, or leave it out.")


def with_options(*groups: OptionGroup) -> Callable[[Function], Function]:
    """Give a command the options of parameter sets, all of them None where they are not given.

    The command takes them as ``**given``.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [
            each
            for each in signature.parameters.values()
            if each.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        added = [
            inspect.Parameter(
                option,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=_annotation(group, option, about, kind, name),
            )
            for group in groups
            for option, name, about, kind in group.options()
        ]
        function.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*own, *added]
        )
        function.__annotations__ = {
            **{name: hint for name, hint in function.__annotations__.items() if name != "given"},
            **{each.name: each.annotation for each in added},
        }
        return function

    return decorate


def _without(choice: str | None, kind: Any, about: Parameter) -> tuple[Any, Parameter]:
    """Return a type of choices, and what there is to say of them, without one of them."""
    if choice is None:
        return kind, about
    others = tuple(each for each in get_args(kind) if each != choice)
    return Literal[others], replace(about, tip=re.sub(rf" ?{choice}: [^.]*\.", "", about.tip))


def _annotation(group: OptionGroup, option: str, about: Parameter, kind: Any, name: str) -> Any:
    flag = _flag(option)
    names = [f"{flag}/{_flag(f'no_{option}')}"] if kind is bool else [flag]
    (default,) = [each.default for each in fields(group.parameter_set) if each.name == name]
    shown = f"{default:.3g}" if isinstance(default, float) else str(default)
    needs = f" Needs {group.needs}." if group.needs else ""
    help_text = f"{about.tip}{needs} [default: {shown}{group.otherwise}]"
    return Annotated[kind | None, typer.Option(*names, help=help_text, show_default=False)]


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"
