// Package engine runs a real ClickHouse inside consentd's own process tree, for the operator who has
// configured no ClickHouse address.
//
// [Open] starts a child process of the same binary. The child loads libchdb.so, which is ClickHouse as
// a shared library, and opens the native TCP port on 127.0.0.1. To everything else it is an ordinary
// ClickHouse: storage/warehouse connects with [Engine.URL] and knows no difference.
//
// # What it guarantees
//
//   - Address, users and passwords stay the same from Open to Close, over every restart of the child. A
//     new Open chooses a new port and new passwords.
//   - The data lives in Options.Dir and survives kill -9 of the child, of the parent, of both.
//   - The child dies with its parent, also on kill -9 of the parent: it watches a pipe whose other end
//     only the parent holds, and on Linux the kernel is asked for the same (PDEATHSIG).
//   - A dead child is restarted with exponential back-off and jitter. [Engine.Health] says what is wrong.
//   - One engine per folder, over processes: a file lock held by parent and child goes with the last of them.
//   - The port listens on loopback only, and nobody reads or writes a table without a password.
//
// # What it does not do
//
//   - No replication (the library has no interserver port), no TLS, no fsync of each insert: the ledger
//     keeps what was sent for a grace period and can send it again.
//   - A child that hangs without dying is not noticed here, its clients' timeouts notice it.
//   - It is no shield against another account of the same machine that wants to annoy: one may take the
//     port while the child is down, or open connections without end.
//
// # Why a child process, why these tricks
//
// The library in our own process would share its crashes and its memory bound with the ledger. The
// `clickhouse` binary would do as well as the library; npm pins and verifies the library on every
// platform we name with one command, which is why it is the library.
//
// Three things in this folder look odd and are paid for:
//
//   - The child gives the library a pseudo-terminal as standard input and says --interactive. Without one,
//     ClickHouse 26.7 aborts the whole process when a client's handler throws: one wrong password, one
//     malformed packet, one reset connection (ClickHouse issue 115666, fixed in 26.8 or later). Go back to
//     plain input when the pinned version has the fix.
//   - The library logs in to itself as user `default`, from 127.0.0.1, without a password, and that user
//     cannot be closed to TCP. So `default` has a quota of exactly the two statements of the start and the
//     grants for no other: whoever else logs in with it can select constants and nothing more.
//   - The starting goroutine keeps its operating system thread for the child's lifetime: PDEATHSIG fires
//     when the thread that forked ends, not when the process does.
//
// package-lock.json pins linux-x64 by version and hash, and the three other platforms by version only: the
// registry did not serve those packages when it was written. `npm install` on such a machine adds the hash;
// the engine has not been run there.
//
// # Measured
//
// On 2 cores, linux-x64, with a warm page cache: ready 0.15 to 0.4 s after Open; idle 225 MB resident, of
// which 49 MB are its own and the rest are pages of the library's file; idle CPU 0.25 % of one core; Close takes some 20 ms.
//
// # Files
//
//	engine.go      Engine: Open, Close, Health, addresses
//	options.go     Options and their defaults
//	supervise.go   first start, port choice, restarts, back-off
//	process.go     one child seen from its parent
//	child.go       RunChildIfAsked, the child's side
//	library.go     the library and the terminal it wants
//	config.go      the two XML files
//	hello.go       the native protocol, just enough to see a query answered
//	connection.go  connection.json and Running, for other processes
//	find.go        where libchdb.so is
//	lock.go        one engine per folder
//	sys_*.go       what differs between systems
package engine
