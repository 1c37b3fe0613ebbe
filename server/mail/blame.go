package mail

import (
	"net/textproto"
	"strings"
)

// blame is whom a permanent refusal is about.
type blame int

const (
	nobody  blame = iota // it is not permanent
	theirs               // the recipient: no mailbox, no domain. The mail is given up
	ours                 // the way we speak to the server: relaying, login, TLS, commands, size. Every mail meets it, it is the operator's to mend, and mails wait
	unclear              // either: what becomes of other mails tells
)

// blameOf reads a permanent answer to RCPT or DATA. The enhanced code (RFC 3463) says what it is about; servers that
// send none use 550, 553 and 554 for a mailbox that does not exist and for relaying they do not do alike (RFC 5321
// §4.2.3).
func blameOf(answer *textproto.Error) blame {
	switch answer.Code {
	case 500, 502, 503, 504, 521, 523, 530, 534, 535, 538, 555: // RFC 5321, RFC 4954, RFC 7504: the conversation
		return ours
	}
	code := enhancedOf(answer)
	switch code {
	case "":
		return blameOfPlain(answer.Code)
	case "5.1.7", "5.1.8", "5.3.4": // the sender's address; larger than the server takes
		return ours
	case "5.5.0", "5.6.7": // Outlook.com's mailbox unavailable; no addresses beyond ASCII
		return theirs
	}
	switch {
	case strings.HasPrefix(code, "5.1."), strings.HasPrefix(code, "5.2."), strings.HasPrefix(code, "5.4."): // address, mailbox, way to its host
		return theirs
	case strings.HasPrefix(code, "5.5."): // protocol
		return ours
	}
	return unclear // policy (5.7.x) of the server towards us, or of the recipient; content; anything else
}

func blameOfPlain(code int) blame {
	switch code {
	case 501, 551, 552, 556: // the address is no address, has moved, its mailbox is full, its domain takes no mail
		return theirs
	}
	return unclear
}

// Bounds of what is learnt from refusals.
const (
	// manyRefused recipients in a row, and none taken, are not all wrong: the server refuses us.
	manyRefused = 3
	// manyUnknown is the same where the server says that the recipients are wrong: people mistype.
	manyUnknown = 10
	// fewTries is how often an unclear refusal is heard before others' mails that are taken tell that it is about this
	// one; manyTries before, without an enhanced code and others to compare with, it is.
	fewTries, manyTries = 3, 5
)

// judge decides what an unclear refusal is about. While nothing else is taken the mail waits: it dies of no answer
// that every mail gets.
func (q *Queue) judge(it *item, r *record, f *failure) {
	if f == nil || f.blame != unclear {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.refused == 0 {
		it.refused = q.now()
		return
	}
	tries := r.Attempts + 1
	othersTaken := q.server.sent > it.refused
	alone := !strings.Contains(f.said, ".") && len(q.server.refused) < manyRefused
	if othersTaken && tries >= fewTries || alone && tries >= manyTries {
		f.why, f.final = ReasonRefused, true
	}
}
