package site

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Check reports everything wrong with the files and directories named, sorted by place: what `consentd check`
// prints. It needs no secrets and changes nothing. No problem is nil.
func Check(paths ...string) []Problem {
	var problems []Problem
	owners := map[string]owner{}
	for _, path := range paths {
		files, err := siteFiles(path)
		if err != nil {
			problems = append(problems, unreadable(path, err))
			continue
		}
		if len(files) == 0 {
			problems = append(problems, Problem{File: path, Severity: Warning, Code: CodeNoSites,
				Text: "holds no site; write one file per site, named like shop.yaml"})
		}
		for _, file := range files {
			problems = append(problems, checkFile(file, owners)...)
		}
	}
	return sorted(problems)
}

// owner is the file that has a site id, and where it says so.
type owner struct {
	file string
	at   place
}

func checkFile(file string, owners map[string]owner) []Problem {
	data, err := readFile(file)
	if err != nil {
		return []Problem{unreadable(file, err)}
	}
	c, problems := parse(file, data)
	if c.Site == "" {
		return problems
	}
	if first, taken := owners[c.Site]; taken {
		return append(problems, duplicate(c.Site, owner{file, c.at}, first))
	}
	owners[c.Site] = owner{file, c.at}
	return problems
}

func duplicate(site string, second, first owner) Problem {
	return Problem{File: second.file, Line: second.at.line, Column: second.at.column, Severity: Error, Code: CodeSiteDuplicate, Key: "site",
		Text: fmt.Sprintf("%q is the site of %s:%d already; give this one another id, or remove a file", site, first.file, first.at.line)}
}

func unreadable(path string, err error) Problem {
	return Problem{File: path, Severity: Error, Code: CodeUnreadable, Text: err.Error()}
}

// siteFiles lists the YAML files of a directory, sorted; a file is itself. Names that begin with a dot belong
// to editors.
func siteFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && (ext == ".yaml" || ext == ".yml") {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	return files, nil
}

// readFile reads a file, but never much more than a configuration may have.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}
