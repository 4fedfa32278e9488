"""The stepper in the terminal."""

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from parity_tests.harness.stepper import panels
from parity_tests.harness.stepper.navigation import Navigation
from parity_tests.harness.stepper.screens import HelpScreen, SearchScreen, ValueScreen


def show(trace):
    """Go through a Trace in the terminal, until the reader quits."""
    Stepper(trace).run()


class Locals(OptionList, inherit_bindings=False):
    """The arrays of the call. Home and End are for the run, not for this list."""

    BINDINGS = [
        Binding("down", "cursor_down", show=False), Binding("up", "cursor_up", show=False),
        Binding("pagedown", "page_down", show=False), Binding("pageup", "page_up", show=False),
        Binding("enter,tab", "select", show=False),
    ]


class Bar(Static):
    """How far the run has come; a click goes there."""

    async def on_click(self, event):
        await self.run_action(f"app.percent({100 * event.x / max(self.size.width - 1, 1)})")


class Stepper(App):
    """On the left the source, on the right the arrays; the state is the time, the index of a step."""

    CSS = """
    #where, #bar { height: 1; }
    #stack { height: auto; max-height: 8; color: $text-muted; }
    #source { width: 1fr; scrollbar-size: 1 1; }
    Locals { width: 48%; max-width: 72; height: 1fr; border: none; border-left: solid $primary; padding: 0;
             scrollbar-size: 1 1; }
    Locals:focus { border: none; border-left: solid $primary; }
    Locals > .option-list--option-highlighted, Locals:focus > .option-list--option-highlighted {
        background: $panel; color: $foreground; text-style: none;
    }
    #notes { height: auto; max-height: 5; }
    """
    BINDINGS = [
        Binding("n,right", "go_to('step')", "Next", key_display="n"),
        Binding("p,left", "go_to('step', -1)", "Back", key_display="p"),
        Binding("o", "go_to('over')", "Over"),
        Binding("O", "go_to('over', -1)", show=False),
        Binding("u", "go_to('out')", "Out"),
        Binding("c", "go_to('changed')", "Change"),
        Binding("C", "go_to('changed', -1)", show=False),
        Binding("w", "go_to('wrong')", "Wrong"),
        Binding("g", "counterpart", "Gradient"),
        Binding("slash", "search", "Find", key_display="/"),
        Binding("question_mark", "help", "Keys", key_display="?"),
        Binding("q", "quit", "Quit"),
        Binding("s", "stack", show=False),
        Binding("b", "turn", show=False),
        Binding("d", "dark", show=False),
        Binding("home", "percent(0)", show=False),
        Binding("end", "percent(100)", show=False),
        *(Binding(str(digit), f"percent({digit}0)", show=False) for digit in range(10)),
    ]
    ENABLE_COMMAND_PALETTE = False
    NOTHING = {"step": "the run ends here", "over": "the run ends here", "out": "this is the outermost call",
               "changed": "nothing changes any more", "wrong": "nothing is wrong"}

    def __init__(self, trace):
        super().__init__()
        self.navigation = Navigation(trace)
        self.time = 0
        self.is_open = False    # the call stack
        self.title = trace.title

    def compose(self) -> ComposeResult:
        yield Static(id="where", markup=False)
        yield Bar(id="bar")
        yield Static(id="stack")
        with Horizontal():
            with VerticalScroll(id="source", can_focus=False):
                yield Static(id="lines")
            yield Locals()
        yield Static(id="notes")
        yield Footer(compact=True)

    def on_mount(self):
        self.query_one(Locals).focus()

    def on_resize(self):
        self.call_after_refresh(self.go, self.time)

    @property
    def look(self):
        """How things are drawn now."""
        return panels.Look(self.current_theme.dark, not self.no_color)

    @property
    def selected(self):
        """The index of the Value that is selected, or None."""
        option = self.query_one(Locals).highlighted_option
        return None if option is None else int(option.id)

    def go(self, time, value=None):
        """Show the step; select this value, or what the step has assigned."""
        self.time = time
        navigation, look = self.navigation, self.look
        function = navigation.function_of(navigation.call_at(time))
        self.query_one("#where", Static).update(
            f"{self.title}  step {time} of {navigation.last}  {function.file}:{navigation.line_at(time)}")
        self.query_one("#bar", Bar).update(panels.bar(navigation, time, max(self.size.width, 2)))
        self.query_one("#stack", Static).update(panels.stack(navigation, time, self.is_open))
        self.query_one("#lines", Static).update(panels.source(navigation, time, look))
        self.query_one("#notes", Static).update(panels.notes(navigation, time))
        self.fill_locals(value)
        self.call_after_refresh(self.scroll_to_line)

    def fill_locals(self, value):
        """Show the arrays of the call."""
        widget = self.query_one(Locals)
        width = max(widget.scrollable_content_region.width, 24)
        shown = self.navigation.locals_at(self.time)
        rows = 3 if self.size.height < 36 else 6
        widget.clear_options()
        widget.add_options([
            Option(panels.local(self.navigation, index, self.time, self.look, width, rows), id=str(index))
            for index in shown])
        if shown:
            widget.highlighted = shown.index(value) if value in shown else 0

    def scroll_to_line(self):
        """Bring the current line into the middle."""
        source = self.query_one("#source", VerticalScroll)
        function = self.navigation.function_of(self.navigation.call_at(self.time))
        row = self.navigation.line_at(self.time) - function.first_line
        source.scroll_to(y=row - source.size.height // 2, animate=False)

    def action_go_to(self, way, *direction):
        """One of the ways of Navigation."""
        time = getattr(self.navigation, way)(self.time, *direction)
        if time is None:
            self.notify(self.NOTHING[way] if not direction else "the run begins here", timeout=2)
        else:
            self.go(time)

    def action_counterpart(self):
        """From d_x to the x that it is the gradient of, and back."""
        other = None if self.selected is None else self.navigation.counterpart(self.selected)
        if other is None:
            self.notify("this has no gradient, and is none", timeout=2)
        else:
            self.go(self.navigation.trace.values[other].time, other)

    def action_turn(self):
        if self.navigation.turn is None:
            self.notify("there is no backward pass", timeout=2)
        else:
            self.go(self.navigation.turn)

    def action_percent(self, percent):
        self.go(self.navigation.at_percent(percent))

    def action_search(self):
        self.push_screen(SearchScreen(), self.search)

    def search(self, text):
        """Go to the next step that assigns such a name."""
        found = self.navigation.find(text, self.time) if text else None
        if found is not None:
            self.go(self.navigation.trace.values[found].time, found)
        elif text:
            self.notify(f"no array's name has {text!r} in it", timeout=2)

    def action_stack(self):
        self.is_open = not self.is_open
        self.go(self.time, self.selected)

    def action_dark(self):
        self.theme = "textual-light" if self.current_theme.dark else "textual-dark"
        self.go(self.time, self.selected)

    def action_help(self):
        self.push_screen(HelpScreen())

    def on_option_list_option_selected(self, event):
        """Show all numbers of an array."""
        self.push_screen(ValueScreen(self.navigation, int(event.option.id), self.look))
