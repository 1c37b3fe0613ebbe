// Command bench measures consentd against its goals (DESIGN §11) and prints one table.
//
//	go run ./bench [flags] [record|lookup|batch|drain|fresh|kill9|fiber …]
//
// It runs the built program as its own process, beside a bare Fiber server that does nothing, and loads both
// from here, the third process. The two are measured in turns (A B A B …), a ratio is taken per pair and the
// median of the ratios is reported, because a shared machine is slow for seconds at a time.
//
// # What is guaranteed, and what is not
//
// A request counts when its answer has the right status and has been read to the end. Wall rates on one
// machine flatter whoever costs more than the generator: on two cores everything shares them. So each row
// also says the server's processor time per request, and what part of the machine the generator, the server,
// its ClickHouse and everything else took. Figures of different machines cannot be compared; ratios can.
//
// # Files
//
//	main.go      flags, the scenarios in order
//	bare.go      the bare Fiber server (`bench bare`)
//	measure.go   one measured run; pairs of runs and their medians
//	record.go    record with fsync, ClickHouse held off and following
//	lookup.go    single and batch lookups over many subjects
//	drain.go     shipping a backlog; bytes a proof takes
//	fresh.go     from the 2xx to queryable, at a constant rate
//	killing.go   kill -9 under load (package kill9 does it)
//	profile.go   a CPU profile of the measured runs
//	table.go     the table, on standard output and in RESULTS.md
//	load/        the generator
//	rig/         the program under measurement as a process
//	kill9/       kill -9 cycles, also run by go test
//
// Commands of their own, each with a verdict and a few runs in go test:
//
//	faults/      system calls that fail
//	damage/      damaged data directories
//	counts/      restores and two edges: everything counted once
//	mutants/     guards removed: the tests must notice
//	witness/     what they share: what was acknowledged, kept outside the program
package main
