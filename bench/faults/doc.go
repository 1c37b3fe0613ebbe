// Command faults has the operating system fail consentd, one system call after the other, and judges what it does.
//
//	go run ./bench/faults [-binary FILE] [-phase NAME] [-syscall NAME] [-dense] [-parallel 2] [-keep DIR]
//
// strace makes a call of the running program fail (its -e inject=). A run is one phase × one system call × one fault × one
// count: over a fresh copy of a directory with some two thousand acknowledged proofs the phase is driven while choices are
// posted, the program is stopped, started again without strace, and asked for everything it ever acknowledged.
//
// Phases: first (over an empty directory), start (over a directory left in good order), recover (over one left by kill -9: the log is replayed, tables are
// flushed and compacted), append, lookup (with a cache that holds nothing), backup (a checkpoint), erase (a flush and a
// compaction under way), restore. Faults: EIO, ENOSPC where the call can need space, EINTR, and short, a transfer of no
// byte at all. strace counts per thread: "the 2nd" means the 2nd of each thread; "1+" every one.
//
// # Verdicts
//
//	held     it went on
//	ended    it exited with a code and a sentence, and the next start is as it should be
//	lost     red: something acknowledged is unknown, or an older answer is given
//	changed  red: an answer that was never given; a seq or an id twice; a seq nobody has
//	hang     red: it neither answered nor ended within 10 s of its start, or not within 5 s of SIGTERM
//	mute     red: it ended with code 0, with a trace, or without a word
//	stuck    red: the next start, without any fault, does not answer
//
// A table of system calls × faults says how often each was seen; the exit code is 1 when one run is red.
//
// strace has to be installed and allowed to trace: in a container that needs the capability SYS_PTRACE.
//
// # Files
//
//	main.go      flags, the campaign
//	strace.go    the tracer: is it usable, its command line, what it injected
//	plan.go      which runs there are
//	phase.go     the phases and how each is driven
//	trial.go     one run and its verdict
//	table.go     the table
package main
