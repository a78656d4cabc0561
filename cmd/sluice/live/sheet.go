package live

import (
	"fmt"
	"math"
	"strings"
	"unicode"

	"charm.land/lipgloss/v2"
)

// ink is what a colour means. Colour never says anything alone.
type ink int

const (
	plain ink = iota
	strong
	faint
	good
	bad
	wait
)

// span is text in one ink.
type span struct {
	ink  ink
	text string
}

func put(i ink, format string, args ...any) span { return span{i, fmt.Sprintf(format, args...)} }

// sheet gathers lines.
type sheet struct {
	look  Look
	lines []string
}

func (t *sheet) String() string { return strings.Join(t.lines, "\n") + "\n" }

// heading sets itself off from what is before it.
func (t *sheet) heading(spans ...span) {
	t.lines = append(t.lines, "")
	t.line(0, spans...)
}

// line adds one, wrapped under its own beginning at column indent.
func (t *sheet) line(indent int, spans ...span) {
	t.under(indent, nil, spans...)
}

// under adds a line whose body is wrapped under itself, beside its head.
func (t *sheet) under(indent int, head []span, body ...span) {
	margin := strings.Repeat(" ", indent)
	first := t.render(head)
	hang := indent + lipgloss.Width(first)
	text := t.render(body)
	if t.look.Width > 0 {
		text = lipgloss.Wrap(text, max(t.look.Width-hang, leastWidth/2), " ")
	}
	for i, part := range strings.Split(text, "\n") {
		if i > 0 {
			margin, first = strings.Repeat(" ", hang), ""
		}
		t.lines = append(t.lines, strings.TrimRight(margin+first+part, " "))
	}
}

// clip cuts what is too long for one line.
func (t *sheet) clip(s span) string {
	return lipgloss.NewStyle().MaxWidth(t.look.Width).Render(t.render([]span{s}))
}

func (t *sheet) render(spans []span) string {
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(t.dye(s.ink, t.wash(s.text)))
	}
	return b.String()
}

func (t *sheet) dye(i ink, text string) string {
	if !t.look.Color || i == plain || text == "" {
		return text
	}
	style := lipgloss.NewStyle()
	switch i {
	case strong:
		style = style.Bold(true)
	case faint:
		style = style.Faint(true)
	case good:
		style = style.Foreground(lipgloss.Green)
	case bad:
		style = style.Foreground(lipgloss.Red)
	case wait:
		style = style.Foreground(lipgloss.Yellow)
	case plain:
	}
	return style.Render(text)
}

// wash makes text harmless to a terminal: reasons, errors and names were written
// by others, and an escape sequence in them would be obeyed.
func (t *sheet) wash(text string) string { return wash(text, t.look) }

func wash(text string, look Look) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
	if !look.ASCII {
		return text
	}
	text = strings.NewReplacer("…", "...", "→", "->", "×", "x", "≤", "<=", "≥", ">=", "·", ";", "–", "-", "—", "-", "“", `"`, "”", `"`).Replace(text)
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII {
			return '?'
		}
		return r
	}, text)
}

// bar is how much of what is needed there is. What is below nothing is nothing.
func (t *sheet) bar(width int, have, need float64) string {
	filled := 0
	if need > 0 && !math.IsNaN(have) {
		filled = int(math.Floor(float64(width) * max(0, min(1, have/need))))
	}
	full, empty := "█", "░"
	if t.look.ASCII {
		full, empty = "#", "."
	}
	return strings.Repeat(full, filled) + strings.Repeat(empty, width-filled)
}

// barWidth leaves room for the words beside a bar.
func (t *sheet) barWidth(words int) int {
	if t.look.Width == 0 {
		return 30
	}
	return min(max(t.look.Width-words, 8), 30)
}

// mark is a glyph that says what its colour says.
func (t *sheet) mark(i ink) span {
	glyphs := map[ink][2]string{
		good: {"✔", "+"}, bad: {"✘", "x"}, wait: {"▶", ">"}, faint: {"·", "."}, strong: {"▶", ">"}, plain: {"·", "."},
	}
	if t.look.ASCII {
		return span{i, glyphs[i][1]}
	}
	return span{i, glyphs[i][0]}
}
