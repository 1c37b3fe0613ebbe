// Command mutants removes the program's guards, one after the other, and has the tests notice.
//
//	go run ./bench/mutants [-only WORDS] [-parallel 1]
//
// guards.go lists them: what each promises, the text that is the guard, what is put in its place, and the tests that must
// then fail. A guard is added by one entry there. The tree is not touched: `go test -overlay` puts the mutated file in the
// place of the original.
//
// # Verdicts
//
//	noticed   the tests fail without the guard
//	survived  red: they pass
//	broken    red: the mutated file does not compile, or no test of that name ran: nothing was shown
//	stale     red: the text is not in the file exactly once
//	failing   red: the tests fail with the guard in place
//
// go test ./bench/mutants checks that no entry is stale and that the tests exist; it does not run them.
//
// # Files
//
//	main.go    flags, the campaign, the table
//	guards.go  the list
//	mutant.go  one guard removed
package main
