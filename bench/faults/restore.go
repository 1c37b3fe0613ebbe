package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/bench/witness"
)

// restorePhase is the name of the runs that restore a backup; they trace the command, not a server.
const restorePhase = "restore"

// restoreArgs is the command that is traced.
func restoreArgs(data, backup string) []string { return []string{"restore", "--data", data, backup} }

// makeBackup has a running program back up the seed and returns the path.
func (k *worker) makeBackup(ctx context.Context) (path string, err error) {
	if err := k.seeds[left].Lay(k.c); err != nil {
		return "", err
	}
	if err := k.c.Start(ctx, rig.NoWarehouse); err != nil {
		return "", err
	}
	defer k.c.Stop()
	made, err := k.c.Operate(ctx, "backup")
	if err != nil {
		return "", err
	}
	path = filepath.Join(k.c.Dir, "backup")
	return path, witness.Copy(path, made)
}

// restore makes one run: the command with a fault, and, where that did not succeed, without; then everything that was
// acknowledged before the backup has to be there.
func (k *worker) restore(ctx context.Context, backup string, i injection) (o outcome, err error) {
	o = outcome{phase: restorePhase, injection: i, verdict: held}
	trace := filepath.Join(k.c.Dir, "strace.out")
	os.Remove(trace)
	all, err := names(backup)
	if err != nil {
		return o, err
	}
	wrap := i.args(trace, append(paths(k.c.Data()), all...))
	l, err := k.run(ctx, "strace", append(append(wrap, k.c.Binary), restoreArgs(k.c.Data(), backup)...))
	if err != nil {
		return o, err
	}
	o.hits, o.on = hits(trace)
	o.counts = counts(trace)
	l.Up = true
	if o.judge(l); l.Code != 0 || !l.Ended {
		if l, err = k.run(ctx, k.c.Binary, restoreArgs(k.c.Data(), backup)); err != nil {
			return o, err
		}
		if l.Code != 0 {
			o.verdict, o.why = stuck, "the next restore: "+l.Last()
			return o, nil
		}
	}
	return o, k.again(ctx, k.seeds[left].Witness.Clone(), &o)
}

// run runs a command to its end over an absent data directory, its words in the program's log.
func (k *worker) run(ctx context.Context, name string, args []string) (l witness.Life, err error) {
	if err := os.RemoveAll(k.c.Data()); err != nil {
		return l, err
	}
	ctx, cancel := context.WithTimeout(ctx, 6*witness.StartLimit) // it copies, checks and may ask ClickHouse
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return l, err
	}
	l = witness.Life{Ended: ctx.Err() == nil, Log: string(out)}
	if exit != nil {
		l.Code = exit.ExitCode()
	}
	return l, nil
}

// names lists everything below a folder.
func names(dir string) (all []string, err error) {
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	return all, err
}
