// Command counts judges that a proof is one row and one count, whatever happened to the machine it was recorded on.
//
//	go run ./bench/counts [-binary FILE] [-proofs 3000] [restore|rebuilt|edges …]
//
// Each scenario is a life of the program as an operator leads it, over its command line and HTTP alone:
//
//	restore   a backup is made while choices come in; the machine is lost, ClickHouse is not; the backup is restored beside
//	          it, browsers send again what they had sent, new choices come in
//	rebuilt   the same, and ClickHouse is lost with the machine: it is in the backup, or filled again from the ledger
//	edges     two edges of one ClickHouse get the same ids
//
// Afterwards everything acknowledged before the backup has to be answered, and every reader of ClickHouse has to count
// each id once: the tables, their view, and the rates. The exit code is 1 when one count is another.
//
// # Files
//
//	main.go     flags, the scenarios in order
//	restore.go  restore and rebuilt
//	edges.go    edges
//	tally.go    the counts, and waiting for them
package main
