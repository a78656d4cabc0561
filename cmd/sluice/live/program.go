package live

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Screens follows until the rollout ends, the reader leaves (ErrLeft) or ctx
// ends, redrawing the terminal that in and Out are. The last screen stays.
func Screens(ctx context.Context, in io.Reader, c Config) (Ending, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := &model{ctx: ctx, c: c, look: c.Look, watch: NewWatch(c.Key, c.Look), height: 24}
	program := tea.NewProgram(
		m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(c.Out), tea.WithFPS(20),
		tea.WithWindowSize(c.Look.Width, m.height), // until the terminal says its own
		tea.WithoutSignalHandler(),                 // ctx ends with signals
	)
	_, err := program.Run()
	if last, seen := m.watch.Last(); seen {
		fmt.Fprint(c.Out, Screen(last, m.look))
	}
	e, over, lost := m.watch.Ended()
	switch {
	case over && lost == nil:
		fmt.Fprintln(c.Out, m.news[len(m.news)-1])
		return e, nil
	case over:
		return e, lost
	case ctx.Err() != nil:
		return interrupted(ctx, m.watch)
	case err != nil:
		return e, err
	}
	return e, ErrLeft
}

// model is what bubbletea keeps: the watch, and where the reader has scrolled to.
type model struct {
	ctx    context.Context //nolint:containedctx // bubbletea's commands take no context
	c      Config          // does not change: looks read it meanwhile
	look   Look
	watch  *Watch
	news   []string // of the last look
	now    time.Time
	height int
	top    int // first line shown
}

type (
	sighted Sight
	again   struct{}
)

// Init looks at once.
func (m *model) Init() tea.Cmd { return m.glance }

func (m *model) glance() tea.Msg { return sighted(m.c.glance(m.ctx)) }

// Update takes a look, a key or a new size in.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case sighted:
		m.now = msg.At
		m.news = m.watch.See(Sight(msg))
		if _, over, _ := m.watch.Ended(); over {
			return m, tea.Quit
		}
		return m, tea.Tick(m.c.every(), func(time.Time) tea.Msg { return again{} })
	case again:
		return m, m.glance
	case tea.WindowSizeMsg:
		m.look.Width, m.height = max(msg.Width, leastWidth), msg.Height
	case tea.KeyPressMsg:
		return m, m.press(msg.String())
	}
	return m, nil
}

func (m *model) press(key string) tea.Cmd {
	page := max(1, m.height-2)
	switch key {
	case "q", "esc", "ctrl+c":
		return tea.Quit
	case "up", "k":
		m.top--
	case "down", "j":
		m.top++
	case "pgup", "b":
		m.top -= page
	case "pgdown", "space", "f":
		m.top += page
	case "home", "g":
		m.top = 0
	case "end", "G":
		m.top = len(m.lines())
	}
	m.top = max(0, min(m.top, len(m.lines())-m.room()))
	return nil
}

// room is how many lines of the screen fit above the foot.
func (m *model) room() int { return max(1, m.height-1) }

func (m *model) lines() []string {
	last, seen := m.watch.Last()
	if !seen {
		return []string{"looking at " + m.c.Key.String()}
	}
	return strings.Split(strings.TrimSuffix(Screen(last, m.look), "\n"), "\n")
}

// View is the part of the screen that fits, and a foot.
func (m *model) View() tea.View {
	lines := m.lines()
	top := max(0, min(m.top, len(lines)-m.room()))
	shown := lines[top:min(len(lines), top+m.room())]
	view := tea.NewView(strings.Join(append(slices.Clip(shown), m.foot(len(lines)-top-len(shown))), "\n"))
	view.AltScreen = true
	view.WindowTitle = "sluice status " + m.c.Key.String()
	return view
}

// foot says what keys do, unless there is worse to say.
func (m *model) foot(below int) string {
	t := sheet{look: m.look}
	if since, why := m.watch.Away(); why != "" {
		return t.clip(put(bad, "control plane away for %s, shown is what was known then: %s", lasting(m.now.Sub(since)), why))
	}
	more := ""
	if below > 0 {
		more = fmt.Sprintf(" · %s below, down and up scroll", count(int64(below), "line", "lines"))
	}
	return t.clip(put(faint, "q leaves%s", more))
}
