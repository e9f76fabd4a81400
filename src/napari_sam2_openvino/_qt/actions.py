"""What the user can do by one key or by a command: a table.

Bindings, tooltips, the help panel and ``docs/keys.md`` are made from it; the commands and the
preferences in the manifest are checked against it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Action:
    """Something the user can do.

    Parameters
    ----------
    verb : str
        Names it in code, in commands (``napari-sam2-openvino.<verb>``) and in preferences.
    group : str
        Heading under which help lists it.
    title : str
        What menus and the command palette call it.
    tip : str
        What it does, in a sentence or two.
    keys : tuple of str, optional
        Keys in napari's spelling, such as "Shift+U". With more than one, the verb is called with
        the number of the key that was pressed, from 0. Without any it is a command only.
    """

    verb: str
    group: str
    title: str
    tip: str
    keys: tuple[str, ...] = ()

    @property
    def key_text(self) -> str:
        """The key as the user reads it; "" if there is none."""
        return " … ".join(dict.fromkeys((self.keys[0], self.keys[-1]))) if self.keys else ""


# Free in napari's viewer, Points, Shapes, Labels and Image, which tests/qt/test_keys.py checks.
# Letters alone belong to what is done for each object; Shift is its wider or opposite form.
ACTIONS = (
    Action(
        "draw_points",
        "Prompts",
        "Draw points",
        "Click on the object, or beside it with a negative point.",
        ("Shift+C",),
    ),
    Action(
        "draw_box", "Prompts", "Draw a box", "Drag a rectangle around the object.", ("Shift+B",)
    ),
    Action(
        "draw_lasso",
        "Prompts",
        "Draw a lasso",
        "Drag the rough outline of the object.",
        ("Shift+O",),
    ),
    Action(
        "draw_scribble",
        "Prompts",
        "Draw a scribble",
        "Drag a line over the object, or over what does not belong to it with negative prompts.",
        ("Shift+S",),
    ),
    Action(
        "place_point",
        "Prompts",
        "Put a point without the mouse",
        "Puts a point in the middle of the view. While it is selected, the arrow keys move it, "
        "with Shift by one pixel.",
        ("Shift+X",),
    ),
    Action(
        "toggle_polarity",
        "Prompts",
        "Positive or negative prompts",
        "The next point or scribble is negative instead of positive, or the other way round. "
        "Those that are there stay.",
        ("Q",),
    ),
    Action(
        "toggle_for_all",
        "Prompts",
        "Negative points for all objects",
        "The next negative points count for every object of the plane, or for the current one "
        "only.",
        ("Shift+Q",),
    ),
    Action(
        "undo",
        "Prompts",
        "Undo the prompts",
        "Takes back the last change of the prompts, a cleared object too. Masks that were "
        "committed have napari's own undo, Ctrl+Z in the Labels layer.",
        ("U",),
    ),
    Action("redo", "Prompts", "Redo the prompts", "Does again what was undone.", ("Shift+U",)),
    Action(
        "next_object",
        "Objects",
        "Next object",
        "Goes on to a new object, or to the next one that has prompts. The current one keeps its "
        "prompts and mask.",
        ("N",),
    ),
    Action(
        "previous_object",
        "Objects",
        "Previous object",
        "Goes back to the object before.",
        ("Shift+N",),
    ),
    Action(
        "clear",
        "Objects",
        "Clear the object",
        "Removes the prompts of the current object on this plane. Can be undone.",
        ("J",),
    ),
    Action(
        "edit_object",
        "Objects",
        "Edit the object under the pointer",
        "Makes the object under the pointer the current one, with the prompts it was made from. "
        "An object without prompts is refined from its mask.",
        ("G",),
    ),
    Action(
        "toggle_many",
        "Objects",
        "Each prompt an object of its own",
        "Every positive point or box starts an object, or all belong to the current one.",
        ("Shift+M",),
    ),
    Action(
        "set_class",
        "Objects",
        "Set the class",
        "Gives the selected objects the class of this number in the list; Alt+0 takes it away.",
        tuple(f"Alt+{number}" for number in range(10)),
    ),
    Action(
        "next_mask",
        "Masks",
        "Next of the masks",
        "The model proposes several masks: shows the next one and its predicted IoU.",
        ("K",),
    ),
    Action("grow_mask", "Masks", "Larger mask", "Lowers the mask threshold by one step.", (".",)),
    Action(
        "shrink_mask", "Masks", "Smaller mask", "Raises the mask threshold by one step.", (",",)
    ),
    Action(
        "toggle_hover",
        "Masks",
        "Preview under the pointer",
        "Shows what a click at the pointer would give, or stops doing so.",
        ("H",),
    ),
    Action(
        "toggle_live",
        "Masks",
        "Live preview",
        "Masks follow each edit. Switched off, “Commit” makes the mask and writes it.",
        ("Shift+H",),
    ),
    Action(
        "commit",
        "Masks",
        "Commit the object",
        "Writes the mask of the current object into the Labels layer and goes on to a new object.",
        ("W",),
    ),
    Action(
        "commit_all",
        "Masks",
        "Commit all objects",
        "Writes the masks of all objects of this plane, as one step of napari's undo.",
        ("Shift+W",),
    ),
    Action(
        "next_plane",
        "Planes",
        "Next plane with objects",
        "Moves the slider to the next plane that has prompts or committed objects.",
        ("Shift+Right",),
    ),
    Action(
        "previous_plane",
        "Planes",
        "Previous plane with objects",
        "Moves the slider to the previous plane that has prompts or committed objects.",
        ("Shift+Left",),
    ),
    Action(
        "find_objects",
        "All objects",
        "Find all objects",
        "Searches the plane in view for every object, without prompts, or stops searching.",
        ("Shift+K",),
    ),
    Action(
        "commit_found",
        "All objects",
        "Commit all that was found",
        "Writes the objects that are shown into the Labels layer, as one step of napari's undo. "
        "What is there already stays.",
    ),
    Action(
        "propagate",
        "Volume",
        "Carry objects through the stack",
        "Finds objects of some planes on all others, plane by plane, or stops doing so. The tab "
        "“Volume” says which objects and which planes.",
        ("Shift+G",),
    ),
    Action(
        "take_back_propagation",
        "Volume",
        "Take back the propagation",
        "Makes every plane as it was before objects were carried through the stack last, but for "
        "pixels that were changed since.",
    ),
    Action("show_help", "Help", "Show the keys", "Shows this list, or hides it.", ("F1",)),
    Action(
        "show_input",
        "Image",
        "Show what the network sees",
        "Adds the image that the network sees, after channels and intensities, as a layer.",
    ),
    Action(
        "save_session",
        "Sessions",
        "Save the session",
        "Writes prompts, classes and parameters to a JSON file.",
    ),
    Action("open_session", "Sessions", "Open a session", "Brings back a saved session."),
    Action(
        "clear_disk_cache",
        "Image",
        "Delete stored embeddings",
        "Frees the disk space that encoded planes take. They are encoded anew when needed.",
    ),
)
KEYS = tuple(each for each in ACTIONS if each.keys)

# Keys of napari that go well with ours: key, where, what it does.
NAPARI_KEYS = (
    ("Ctrl+Z, Ctrl+Shift+Z", "Labels", "takes a commit back, and does it again"),
    ("2, 3", "Points", "adds points, selects points"),
    ("R, E, P, Shift+P, L, T", "Shapes", "rectangle, ellipse, polygon, lasso, line, path"),
    ("4, 5", "Shapes", "moves vertices, moves shapes"),
    ("Backspace", "Points, Shapes", "removes what is selected"),
    ("Space", "all", "while it is held, the mouse moves the image instead of drawing"),
    ("Left, Right", "all", "goes to the plane before, the plane after"),
)


def find_action(verb: str, actions: Iterable[Action] = ACTIONS) -> Action:
    """Return the action of a verb.

    Raises
    ------
    KeyError
        If there is none.
    """
    for each in actions:
        if each.verb == verb:
            return each
    raise KeyError(verb)


def tooltip(verb: str, actions: Iterable[Action] = ACTIONS) -> str:
    """Return what a button's tooltip says: the tip, then the key."""
    return wrapped(find_action(verb, actions).tip + key_sentence(verb, actions))


def key_sentence(verb: str, actions: Iterable[Action] = ACTIONS) -> str:
    """Return " Key W.", to be put behind another sentence; "" where the verb has no key."""
    keys = find_action(verb, actions).key_text
    return f" Key {keys}." if keys else ""


def wrapped(tip: str) -> str:
    """Return the text of a tooltip so that Qt breaks it into lines, which it does in HTML only."""
    return f"<qt>{escape(tip)}</qt>"


def keys_table(actions: Iterable[Action] = KEYS) -> str:
    """Return the keys as a table in Markdown, as ``docs/keys.md`` has it."""
    rows = ["| key | what | in detail |", "|---|---|---|"]
    rows += [f"| `{each.key_text}` | {each.title} | {each.tip} |" for each in actions if each.keys]
    return "\n".join(rows)
