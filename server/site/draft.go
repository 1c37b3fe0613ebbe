package site

import (
	"errors"
	"fmt"
	"slices"
)

// ErrNoSite means that no file among those looked at is of the site asked for.
var ErrNoSite = errors.New("site: no file is of this site")

// Draft is a site as its file has it, for the command line: complete, to be looked at and measured, but without a
// secret, so that it answers nobody.
type Draft struct {
	*Site
	places *decoder
}

// Drafts reads the files and directories named. A file that cannot be read or has errors gives none: Check says
// why.
func Drafts(paths ...string) []*Draft {
	var all []*Draft
	for _, path := range paths {
		files, err := siteFiles(path)
		if err != nil {
			continue
		}
		for _, file := range files {
			if _, d, err := draft(file); err == nil {
				all = append(all, d)
			}
		}
	}
	return all
}

// FindDraft reads the file of a site in a directory.
func FindDraft(id, dir string) (*Draft, error) {
	files, err := siteFiles(dir)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if found, d, err := draft(file); found == id {
			return d, err
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrNoSite, id)
}

// draft reads one file. It gives the id of the site with an error too, if the file has one.
func draft(file string) (id string, d *Draft, err error) {
	data, err := readFile(file)
	if err != nil {
		return "", nil, err
	}
	c, problems := parse(file, data)
	if i := slices.IndexFunc(problems, func(p Problem) bool { return p.Severity == Error }); i >= 0 {
		return c.Site, nil, fmt.Errorf("the file has errors; the first: %s", problems[i])
	}
	var nobody [32]byte // a secret that keys nothing: the keyer made of it is dropped
	s, err := c.build(file, nobody[:])
	if err != nil {
		return c.Site, nil, err
	}
	s.Keyer = nil
	_, places := decode(file, data)
	return c.Site, &Draft{s, places}, nil
}

// Problem says what is wrong with how the site looks, at the line of key, or of what key is missing from.
func (d *Draft) Problem(s Severity, code, key, format string, args ...any) Problem {
	at := d.places.where(key)
	return Problem{File: d.File, Line: at.line, Column: at.column, Severity: s, Code: code, Key: key, Text: fmt.Sprintf(format, args...)}
}

// Sorted orders problems by place, errors before warnings at the same one.
func Sorted(ps []Problem) []Problem { return sorted(ps) }
