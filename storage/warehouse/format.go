package warehouse

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// value is one cell, with the name of its ClickHouse type.
type value struct {
	v  reflect.Value
	ch string
}

type printer interface {
	header(names []string) error
	row(values []value) error
	end() error
}

func newPrinter(format string, out io.Writer) (printer, error) {
	w := bufio.NewWriter(out)
	switch format {
	case "", "table":
		return &tablePrinter{w: w}, nil
	case "tsv":
		return &tsvPrinter{w}, nil
	case "jsonl":
		return &jsonPrinter{w: w}, nil
	}
	return nil, fmt.Errorf("%w, not %q", ErrFormat, format)
}

// plain turns a cell into what encoding/json prints well: nil, numbers, bool, text, lists, maps. Bytes that
// are no text become hex.
func (c value) plain() any {
	v := c.v
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		if s, ok := v.Interface().(fmt.Stringer); ok {
			return s.String()
		}
		v = v.Elem()
	}
	if t, ok := v.Interface().(time.Time); ok {
		return timeText(t, c.ch)
	}
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return s.String()
	}
	return plainKind(v, c.ch)
}

func plainKind(v reflect.Value, ch string) any {
	switch v.Kind() {
	case reflect.String:
		return textOrHex(v.String())
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 && !strings.HasPrefix(ch, "Array") {
			b := make([]byte, v.Len())
			reflect.Copy(reflect.ValueOf(b), v)
			return textOrHex(string(b))
		}
		all := make([]any, v.Len())
		for i := range all {
			all[i] = value{v.Index(i), ""}.plain()
		}
		return all
	case reflect.Map:
		all := make(map[string]any, v.Len())
		for it := v.MapRange(); it.Next(); {
			all[fmt.Sprint(value{it.Key(), ""}.plain())] = value{it.Value(), ""}.plain()
		}
		return all
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return strings.ToLower(fmt.Sprint(f))
		}
	}
	return v.Interface()
}

func timeText(t time.Time, ch string) string {
	switch {
	case strings.HasPrefix(ch, "DateTime64"):
		return t.Format("2006-01-02T15:04:05.000Z07:00")
	case strings.HasPrefix(ch, "Date") && !strings.HasPrefix(ch, "DateTime"):
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

func textOrHex(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }) {
		return s
	}
	return hex.EncodeToString([]byte(s))
}

// text is a cell on one line.
func (c value) text() string {
	switch p := c.plain().(type) {
	case nil:
		return "NULL"
	case string:
		return p
	case []any, map[string]any:
		b, err := marshal(p)
		if err != nil {
			return err.Error()
		}
		return string(b)
	default:
		return fmt.Sprint(p)
	}
}

// marshal is json.Marshal without HTML escapes: the reader is a terminal or a program, not a page.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return []byte(strings.TrimSuffix(b.String(), "\n")), err
}

// tablePrinter aligns columns by the first rows, and keeps those widths for what follows.
type tablePrinter struct {
	w      *bufio.Writer
	names  []string
	widths []int
	held   [][]string // rows seen before the widths are fixed
	fixed  bool
}

// tableSample is how many rows decide the widths.
const tableSample = 1000

func (p *tablePrinter) header(names []string) error {
	p.names = names
	p.widths = make([]int, len(names))
	p.widen(names)
	return nil
}

func (p *tablePrinter) widen(cells []string) {
	for i, c := range cells {
		p.widths[i] = max(p.widths[i], utf8.RuneCountInString(c))
	}
}

// oneLine keeps a cell from breaking the table, or the terminal.
var oneLine = strings.NewReplacer("\n", "\\n", "\t", "\\t", "\r", "\\r")

func (p *tablePrinter) row(values []value) error {
	cells := make([]string, len(values))
	for i, v := range values {
		cells[i] = oneLine.Replace(v.text())
	}
	if p.fixed {
		return p.print(cells)
	}
	p.widen(cells)
	if p.held = append(p.held, cells); len(p.held) >= tableSample {
		return p.flushHeld()
	}
	return nil
}

func (p *tablePrinter) flushHeld() error {
	p.fixed = true
	if err := p.print(p.names); err != nil {
		return err
	}
	rule := make([]string, len(p.widths))
	for i, n := range p.widths {
		rule[i] = strings.Repeat("─", n)
	}
	if err := p.print(rule); err != nil {
		return err
	}
	for _, cells := range p.held {
		if err := p.print(cells); err != nil {
			return err
		}
	}
	p.held = nil
	return nil
}

func (p *tablePrinter) print(cells []string) error {
	for i, c := range cells {
		if i > 0 {
			p.w.WriteString("  ")
		}
		p.w.WriteString(c)
		if i < len(cells)-1 {
			p.w.WriteString(strings.Repeat(" ", max(0, p.widths[i]-utf8.RuneCountInString(c))))
		}
	}
	return p.w.WriteByte('\n')
}

func (p *tablePrinter) end() error {
	if !p.fixed {
		if err := p.flushHeld(); err != nil {
			return err
		}
	}
	return p.w.Flush()
}

type tsvPrinter struct{ w *bufio.Writer }

var tsvEscape = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r")

func (p *tsvPrinter) header(names []string) error {
	_, err := p.w.WriteString(strings.Join(names, "\t") + "\n")
	return err
}

func (p *tsvPrinter) row(values []value) error {
	for i, v := range values {
		if i > 0 {
			p.w.WriteByte('\t')
		}
		if v.plain() == nil {
			p.w.WriteString("\\N")
		} else {
			tsvEscape.WriteString(p.w, v.text())
		}
	}
	return p.w.WriteByte('\n')
}

func (p *tsvPrinter) end() error { return p.w.Flush() }

type jsonPrinter struct {
	w     *bufio.Writer
	names []string
}

func (p *jsonPrinter) header(names []string) error {
	p.names = names
	return nil
}

func (p *jsonPrinter) row(values []value) error {
	for i, v := range values {
		sep := ","
		if i == 0 {
			sep = "{"
		}
		name, err := marshal(p.names[i])
		if err != nil {
			return err
		}
		cell, err := marshal(v.plain())
		if err != nil {
			return err
		}
		fmt.Fprintf(p.w, "%s%s:%s", sep, name, cell)
	}
	_, err := p.w.WriteString("}\n")
	return err
}

func (p *jsonPrinter) end() error { return p.w.Flush() }
