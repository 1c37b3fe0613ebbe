package site

import (
	"errors"
	"fmt"
	"slices"

	"github.com/consentd/consentd/widget"
)

// ErrNoSite means that no file among those looked at is of the site asked for.
var ErrNoSite = errors.New("site: no file is of this site")

// SignalsOf reads which tools a site tells of choices, from the file of that site in a directory. It needs no
// secrets. A file with errors is not read any further than that.
func SignalsOf(id, dir string) (widget.Signals, error) {
	files, err := siteFiles(dir)
	if err != nil {
		return widget.Signals{}, err
	}
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			return widget.Signals{}, err
		}
		c, problems := parse(file, data)
		if c.Site != id {
			continue
		}
		if i := slices.IndexFunc(problems, func(p Problem) bool { return p.Severity == Error }); i >= 0 {
			return widget.Signals{}, fmt.Errorf("the file has errors; the first: %s", problems[i])
		}
		return c.Signals, nil
	}
	return widget.Signals{}, fmt.Errorf("%w: %s", ErrNoSite, id)
}
