package site_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/storagetest"
)

// eventually waits for what a notice of the file system brings: it comes within 200 ms, a lost one at the next rescan.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	storagetest.Eventually(t, time.Minute, what, cond)
}

func named(r *site.Registry, id string) string {
	if s, ok := r.Get(id); ok {
		return s.Name
	}
	return ""
}

func TestAChangedFileIsNoticed(t *testing.T) {
	for name, save := range map[string]func(t *testing.T, path, text string){
		"written in place": func(t *testing.T, path, text string) { write(t, path, text) },
		"replaced, as editors do": func(t *testing.T, path, text string) {
			write(t, path+"~new", text)
			if err := os.Rename(path+"~new", path); err != nil {
				t.Fatal(err)
			}
		},
		"moved away and written anew, as vim does": func(t *testing.T, path, text string) {
			if err := os.Rename(path, path+"~"); err != nil {
				t.Fatal(err)
			}
			write(t, path, text)
			if err := os.Remove(path + "~"); err != nil {
				t.Fatal(err)
			}
		},
		"behind a link that is swapped, as Kubernetes does": func(t *testing.T, path, text string) {
			real := path + ".real"
			write(t, real, text)
			if err := os.Symlink(real, path+".link"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".link", path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, dir := serve(t, map[string]string{"small.yaml": minimal}, nil)
			before := get(t, r, "small")
			save(t, filepath.Join(dir, "small.yaml"), strings.Replace(minimal, "name: Small\n", "name: Changed\n", 1))
			eventually(t, "the new name", func() bool { return named(r, "small") == "Changed" })
			if before.Name != "Small" {
				t.Error("a Site that was handed out has changed")
			}
		})
	}
}

func TestABrokenFileKeepsItsLastGoodVersion(t *testing.T) {
	log := new(storagetest.Log)
	r, dir := serve(t, map[string]string{"small.yaml": minimal}, func(o *site.Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
	path := filepath.Join(dir, "small.yaml")
	good := get(t, r, "small")
	write(t, path, strings.Replace(minimal, "basis: consent", "basis: profit, default: on", 1))
	eventually(t, "two problems", func() bool {
		return slices.Equal(found(r.Problems()), []string{"9:22 basis_unknown", "9:39 default_on"})
	})
	if get(t, r, "small") != good {
		t.Error("the site changed")
	}
	eventually(t, "the log says so", func() bool {
		out := log.String()
		return strings.Contains(out, "code=basis_unknown") && strings.Contains(out, "line=9")
	})
	write(t, path, strings.Replace(minimal, "name: Small\n", "name: Repaired\n", 1))
	eventually(t, "the repair", func() bool { return named(r, "small") == "Repaired" && len(r.Problems()) == 0 })
}

func TestAProblemIsLoggedOnce(t *testing.T) {
	log := new(storagetest.Log)
	r, _ := serve(t, map[string]string{"bad.yaml": "site: bad\n", "small.yaml": minimal}, func(o *site.Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
	for range 3 {
		r.Reload()
	}
	if n := strings.Count(log.String(), "code=no_purpose"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

func TestAFileBrokenFromTheStartDoesNotStopTheOthers(t *testing.T) {
	r, _ := serve(t, map[string]string{"bad.yaml": "site: bad\nname: [", "small.yaml": minimal}, nil)
	get(t, r, "small")
	if _, ok := r.Get("bad"); ok {
		t.Error("a broken site is served")
	}
	if got := found(r.Problems()); !slices.Equal(got, []string{"2:7 syntax"}) {
		t.Errorf("got %q", got)
	}
}

func TestFilesComeAndGo(t *testing.T) {
	r, dir := serve(t, nil, nil)
	if len(r.All()) != 0 || len(r.Problems()) != 0 {
		t.Fatalf("an empty directory: %v, %v", r.All(), r.Problems())
	}
	write(t, filepath.Join(dir, "small.yaml"), minimal)
	write(t, filepath.Join(dir, "demo.yaml"), demo(t))
	eventually(t, "two sites", func() bool { return len(r.All()) == 2 })
	if all := r.All(); all[0].ID != "demo" || all[1].ID != "small" {
		t.Errorf("not sorted: %s, %s", all[0].ID, all[1].ID)
	}
	if err := os.Remove(filepath.Join(dir, "demo.yaml")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the removal", func() bool { _, ok := r.Get("demo"); return !ok })
	get(t, r, "small")
}

func TestOfTwoFilesWithOneSiteTheOneThatServesItGoesOn(t *testing.T) {
	r, dir := serve(t, map[string]string{"m.yaml": minimal}, nil)
	write(t, filepath.Join(dir, "a.yaml"), strings.Replace(minimal, "name: Small\n", "name: Usurper\n", 1))
	eventually(t, "the problem", func() bool { return len(r.Problems()) == 1 })
	p := r.Problems()[0]
	if p.Code != site.CodeSiteDuplicate || p.File != filepath.Join(dir, "a.yaml") || p.Line != 2 || !strings.Contains(p.Text, "m.yaml:2") {
		t.Errorf("got %v", p)
	}
	if named(r, "small") != "Small" {
		t.Errorf("served is %q", named(r, "small"))
	}
	if err := os.Remove(filepath.Join(dir, "m.yaml")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other file serves it", func() bool { return named(r, "small") == "Usurper" && len(r.Problems()) == 0 })
}

func TestOfTwoFilesWithOneSiteTheFirstByNameStarts(t *testing.T) {
	r, dir := serve(t, map[string]string{"b.yaml": minimal, "a.yaml": strings.Replace(minimal, "name: Small\n", "name: First\n", 1)}, nil)
	if named(r, "small") != "First" || len(r.Problems()) != 1 || r.Problems()[0].File != filepath.Join(dir, "b.yaml") {
		t.Errorf("served is %q, problems %v", named(r, "small"), r.Problems())
	}
}

func TestOnChangeSeesTheNewSetBeforeItIsServed(t *testing.T) {
	type seen struct{ told, served string }
	calls := make(chan seen, 10)
	var r *site.Registry
	r, dir := serve(t, map[string]string{"small.yaml": minimal}, func(o *site.Options) {
		o.OnChange = func(all []*site.Site) { calls <- seen{all[0].Name, named(r, "small")} }
	})
	if len(calls) != 0 {
		t.Error("called by Open")
	}
	r.Reload() // nothing has changed
	path := filepath.Join(dir, "small.yaml")
	write(t, path, strings.Replace(minimal, "site: small", "site: Small!", 1)) // broken: the set stays
	eventually(t, "the problem", func() bool { return len(r.Problems()) == 1 })
	if len(calls) != 0 {
		t.Error("called though nothing changed")
	}
	write(t, path, strings.Replace(minimal, "name: Small\n", "name: Changed\n", 1))
	if got := <-calls; got != (seen{"Changed", "Small"}) {
		t.Errorf("got %+v", got)
	}
	eventually(t, "the change", func() bool { return named(r, "small") == "Changed" })
	if len(calls) != 0 {
		t.Error("called twice for one change")
	}
}

func TestASecretThatCannotBeHadIsReportedAndTriedAgain(t *testing.T) {
	var mu sync.Mutex
	trouble := errors.New("the disk is on fire")
	r, _ := serve(t, map[string]string{"small.yaml": minimal}, func(o *site.Options) {
		o.Secret = func(id string) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			if trouble != nil {
				return nil, trouble
			}
			return secret(id)
		}
	})
	if p := r.Problems(); len(p) != 1 || p[0].Code != site.CodeSecret || !strings.Contains(p[0].Text, "on fire") {
		t.Errorf("got %v", p)
	}
	mu.Lock()
	trouble = nil
	mu.Unlock()
	r.Reload()
	get(t, r, "small")
}

func TestADirectoryThatVanishesKeepsItsSites(t *testing.T) {
	r, dir := serve(t, map[string]string{"small.yaml": minimal}, nil)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	defer os.Rename(dir+".away", dir)
	r.Reload()
	get(t, r, "small")
	if p := r.Problems(); len(p) != 1 || p[0].Code != site.CodeUnreadable || p[0].File != dir {
		t.Errorf("got %v", p)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	r.Reload()
	if p := r.Problems(); len(p) != 0 {
		t.Errorf("after it is back: %v", p)
	}
}
