package mail

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// pigeonhole puts messages into a directory instead of sending them: for a demo, or a place where nobody may be
// written to. A job's file has one name: a second attempt replaces the first, and nothing has to be noted before it.
type pigeonhole struct {
	dir   string
	wrote func(path, link string)
}

func (p pigeonhole) deliver(_ context.Context, m *message, _ func(context.Context) *failure) *failure {
	path := filepath.Join(p.dir, fmt.Sprintf("%s-%.8s.eml", m.asked.Time().Format("20060102T150405Z"), m.id))
	if err := p.write(path, m.raw); err != nil {
		return &failure{why: ReasonServer, server: true, unheard: true, err: err}
	}
	p.wrote(path, m.link)
	return nil
}

// write puts the file there whole, for the owner alone: it has an address and a link in it.
func (p pigeonhole) write(path string, raw []byte) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	aside := path + ".part"
	if err := os.WriteFile(aside, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(aside, path)
}

func (pigeonhole) rest() {}
