// Command damage damages data directories of ten thousand acknowledged proofs and judges what consentd makes of them.
//
//	go run ./bench/damage [-binary FILE] [-cases 2000] [-seed N] [-only N] [-parallel 2] [-keep DIR]
//
// A case is one of three directories (left in good order; left by kill -9; left by kill -9 with a tail that was never
// sealed), one file or folder of it and one damage: a bit flipped, bytes zeroed or overwritten, a tail cut or zeroed, a
// file emptied, missing, put in another's place, taken from an earlier day, replaced by a folder, with other permissions;
// a folder missing, emptied or of an earlier day; a file that does not belong there. The n-th case of a seed is always
// the same: -only repeats one.
//
// The program is started over the damaged copy and asked for all it ever acknowledged: every device by batch lookup, every
// proof by its id, and the size, the root and the hashes of the log. After that it has to take one more choice without
// giving a seq twice.
//
// # Verdicts
//
//	refused   it exited within 10 s, with a code and a sentence that names a file or a key
//	equal     everything is as it was
//	reported  something is gone, no answer is another than before, and /readyz names it from the first moment on and 15 s
//	          later, with a number that is at least what is gone
//	error     some questions are answered with an error, none wrong
//	silent    red: something is gone or changed, and nobody is told
//	vague     red: it refused with a sentence that names nothing
//	hang      red: it neither answered nor ended within 10 s, or did not stop within 5 s
//	mute      red: it ended with code 0, with a trace, or without a word
//
// A table of kinds of files × verdicts is printed; the exit code is 1 when one case is red.
//
// # Files
//
//	main.go     flags, the campaign
//	seeds.go    the directories
//	kinds.go    what kinds of files there are
//	damages.go  what can happen to one
//	trial.go    one case and its verdict
//	table.go    the table
package main
