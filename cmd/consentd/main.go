// Command consentd is the consent edge server: it serves a site's script tag, records choices durably, ships
// them to ClickHouse and answers who consented to what.
//
// This package is wiring only: it reads the configuration, opens the parts and connects them.
//
// # Files
//
//	main.go     run: parse and dispatch
//	config.go   every option, once: flags, environment, file and help come from here
//	stop.go     signals, and how long a stop may take
//	running.go  DATA/run.json, and how commands ask the running server
//	admin.go   the admin address: who may enter
//	help.go     --help shows what every option is when it is not given
//	node.go     a running consentd: which parts it has, in which order they start and stop
//	serve.go    consentd serve
//	demo.go     consentd demo: the same, with a shop in front
//	check.go    consentd check
//	snippet.go  consentd snippet
//	token.go    consentd token
//	seal.go     consentd seal, and the ring a running server uses
//	logs.go     consentd keys, and the sealing of the logs
//	evidence.go consentd evidence
//	verify.go   consentd verify
//	snapshot.go consentd snapshot, and the pictures a running server takes by itself
//	links.go    consentd links, and the keys of links
//	mail.go     consentd mail, and the sending of mails
//	sql.go      consentd sql
//	erase.go    consentd erase, and the server's part of it
//	backup.go   consentd backup, and the server's part of it
//	restore.go  consentd restore
//	newer.go    what a backup or a repaired ledger lacks, brought back
//	replay.go   what is erased again after a restore, and the note of every erasure
//	repair.go   consentd repair
//	inspect.go  consentd check --data
//	keyring.go  the fingerprints of the key files
//	resend.go   consentd resend, and the server's part of it
//	umask_unix.go  modes of what is written
//
// # Why kong
//
// Flags, environment variables, help and sub-commands come from one annotated struct, so none of them can
// drift from the others.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/consentd/consentd/storage/engine"
)

// version is set by the linker (make build); "devel" otherwise.
var version = "devel"

// cli is the command line.
type cli struct {
	Serve    serveCmd    `cmd:"" help:"Run the server: collect choices, answer lookups, ship proofs to ClickHouse."`
	Demo     demoCmd     `cmd:"" help:"Run the server with a demo shop in French and English, and print what to try."`
	Check    checkCmd    `cmd:"" help:"Check site files: every mistake at once, with its line. Exits 1 on an error."`
	Snippet  snippetCmd  `cmd:"" help:"Print what the pages of a site carry: the script tag and, where Google or Microsoft are told of choices, what says denied before."`
	Token    tokenCmd    `cmd:"" help:"Issue an API token (printed alone on standard output), list keys, rotate, revoke."`
	Keys     keysCmd     `cmd:"" help:"Print the keys that evidence and receipts are verified with; make new ones."`
	Evidence evidenceCmd `cmd:"" help:"Write a file that proves a choice to somebody who trusts nobody here, or a dossier to print."`
	Snapshot snapshotCmd `cmd:"" help:"Have the running server photograph what a site publishes, and log the pictures' hashes."`
	Verify   verifyCmd   `cmd:"" help:"Check an evidence file: no network, no data directory. Exits 1 when anything is refused."`
	Seal     sealCmd     `cmd:"" help:"Rotate the keys that seal e-mail addresses and phone numbers."`
	Links    linksCmd    `cmd:"" help:"List the keys that links in mails are made with, rotate, retire."`
	Mail     mailCmd     `cmd:"" help:"Say how the confirmation mails of the running server are doing; try again those it gave up."`
	Erase    eraseCmd    `cmd:"" help:"Have the running server forget a person, everywhere. Exits 1 until nothing is left."`
	Sql      sqlCmd      `cmd:"" name:"sql" help:"Run one reading statement against the ClickHouse in use, also while the server runs."`
	Resend   resendCmd   `cmd:"" help:"Have the running server send again what ClickHouse has lost. Exits 1 when something stays missing."`
	Backup   backupCmd   `cmd:"" help:"Have the running server write a consistent copy of all it may not lose; check one."`
	Restore  restoreCmd  `cmd:"" help:"Put a backup back, in place of a data directory on which no server runs."`
	Repair   repairCmd   `cmd:"" help:"Go on from what is left in a data directory that serve refuses, in a new generation."`
	Version  versionCmd  `cmd:"" help:"Print the version."`

	Config kong.ConfigFlag `help:"YAML file of options: the names of the flags, without dashes in front. Flags and environment win." placeholder:"FILE" env:"CONSENTD_CONFIG"`
}

func main() {
	closeToOthers()
	engine.RunChildIfAsked()
	ctx := untilSignal(os.Stderr, os.Exit)
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		var code exitCode
		if !errors.As(err, &code) {
			fmt.Fprintln(os.Stderr, "consentd:", strings.ReplaceAll(err.Error(), "\n", "; ")) // several errors: one sentence
			code = 1
		}
		os.Exit(int(code))
	}
}

// exitCode ends the program without another word.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit %d", int(c)) }

// streams is where a command prints: answers on out, everything else on err.
type streams struct {
	out, err io.Writer
}

// run is the whole program: tests call it with their own arguments and streams.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("consentd"),
		kong.Description("A self-hosted consent edge server: lawful banner, durable proofs, answers in microseconds.\n\nStart with: consentd demo"),
		kong.Configuration(yamlConfig),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ValueFormatter(helpOf),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams{stdout, stderr}),
	)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(doubleDash(args))
	if exited >= 0 { // --help has been printed
		if exited == 0 {
			return nil
		}
		return exitCode(exited)
	}
	if err != nil {
		return fmt.Errorf("%w (consentd --help)", err)
	}
	if err := parsed.Run(); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// doubleDash lets flags be written with one dash, as Go's own tools do: -site is --site.
func doubleDash(args []string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if a == "--" {
			break
		}
		if len(a) > 2 && a[0] == '-' && a[1] >= 'a' && a[1] <= 'z' {
			out[i] = "-" + a
		}
	}
	return out
}

type versionCmd struct{}

func (versionCmd) Run(s streams) error {
	fmt.Fprintln(s.out, "consentd", versionString())
	return nil
}

// versionString adds the commit the Go tool recorded, when it did.
func versionString() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return version + " " + s.Value[:12]
		}
	}
	return version
}
