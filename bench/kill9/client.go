package kill9

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/consentd/consentd/bench/load"
	"github.com/consentd/consentd/bench/rig"
	"github.com/google/uuid"
)

const (
	statusOK      = 200
	statusCreated = 201
	statusBusy    = 503
)

// sent is one choice, with the bytes that said it. seq counts once it was acknowledged.
type sent struct {
	id      uuid.UUID
	seq     uint64
	request []byte
}

// client is one connection. Its goroutine owns it.
type client struct {
	net.Conn
	answer  load.Response
	buf     [4 << 10]byte
	acked   []sent
	cut     []sent // the choice the kill left without an answer: it may be on disk
	refused uint64
	odd     string // an answer that nothing explains
}

// patience is how long an answer may take: a server that neither answers nor dies is a fault of its own.
const patience = 30 * time.Second

func dial(ctx context.Context, addr netip.AddrPort) (*client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	return &client{Conn: conn, answer: load.Response{Keep: true}}, nil
}

// sendNew records one new choice after the other until the connection breaks, which is when the server dies. It counts
// into acks.
func (c *client) sendNew(choice rig.Choice, r *rand.PCG, acks *atomic.Int64) {
	request := bytes.Clone(choice.Bytes)
	for c.odd == "" {
		choice.Patch(r, request)
		status, seq, err := c.send(request)
		switch {
		case err != nil:
			c.cut = append(c.cut, sent{id: idOf(choice, request), request: bytes.Clone(request)})
			return
		case status == statusCreated:
			c.acked = append(c.acked, sent{idOf(choice, request), seq, bytes.Clone(request)})
			acks.Add(1)
		case status == statusBusy:
			c.refused++
		default:
			c.odd = fmt.Sprintf("a new choice is answered with %d: %s", status, c.answer.Body)
		}
	}
}

// sendUntilTaken makes exchanges until one is not refused for a full queue: a whole cycle comes back at once, and that is no
// loss.
func (c *client) sendUntilTaken(request []byte) (status int, seq uint64, err error) {
	for {
		if status, seq, err = c.send(request); status != statusBusy || err != nil {
			return status, seq, err
		}
	}
}

// send makes one exchange. seq is that of the answer when the status is 200 or 201.
func (c *client) send(request []byte) (status int, seq uint64, err error) {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(request); err != nil {
		return 0, 0, err
	}
	for {
		n, err := c.Read(c.buf[:])
		if err != nil {
			return 0, 0, err
		}
		used, done, err := c.answer.Feed(c.buf[:n])
		if err != nil || used != n {
			return 0, 0, fmt.Errorf("reading an answer: %w", err)
		}
		if done {
			break
		}
	}
	if s := c.answer.Status; s != statusOK && s != statusCreated {
		return s, 0, nil
	}
	seq, err = seqOf(c.answer.Body)
	return c.answer.Status, seq, err
}

// seqOf reads "seq" of an answer. Without one the choice was not promised a place.
func seqOf(body []byte) (uint64, error) {
	_, rest, _ := bytes.Cut(body, []byte(`"seq":`))
	end := 0
	for end < len(rest) && '0' <= rest[end] && rest[end] <= '9' {
		end++
	}
	seq, err := strconv.ParseUint(string(rest[:end]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("an answer names no seq: %s", body)
	}
	return seq, nil
}

func idOf(choice rig.Choice, request []byte) uuid.UUID {
	return uuid.MustParse(string(request[choice.IDAt : choice.IDAt+load.UUIDLen])) // PutUUID wrote it
}
