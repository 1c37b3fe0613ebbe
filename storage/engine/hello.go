package engine

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// revision is the native protocol's level we speak. It is an old one on purpose: everything newer adds
// fields to the packets below, and servers still answer old clients.
const revision = 54000

// Packet kinds of the native protocol: Core/Protocol.h of ClickHouse.
const (
	clientHello = 0
	clientQuery = 1
	clientData  = 2

	serverHello     = 0
	serverData      = 1
	serverException = 2
)

// probe logs in at addr and has SELECT 1 answered, all within timeout. Nil means that a client would be
// served now. A refusal by the server comes back with its own text.
func probe(ctx context.Context, timeout time.Duration, addr, user, password string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	if _, err := conn.Write(helloPacket(user, password)); err != nil {
		return err
	}
	if err := readHello(in); err != nil {
		return err
	}
	if _, err := conn.Write(queryPacket("SELECT 1")); err != nil {
		return err
	}
	if err := expect(in, serverData); err != nil {
		return err
	}
	leave(conn, in)
	return nil
}

// leave lets the server say all it has to say first: a client that hangs up earlier is an error in its log.
func leave(conn net.Conn, in io.Reader) {
	if tcp, ok := conn.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, in) // bounded by the deadline
	}
}

func helloPacket(user, password string) []byte {
	b := []byte{clientHello}
	b = appendString(b, "consentd")
	b = append(b, 1, 0) // the client's version, major and minor
	b = binary.AppendUvarint(b, revision)
	b = appendString(b, "") // database
	b = appendString(b, user)
	return appendString(b, password)
}

// readHello reads name, major, minor and revision: all there is at our revision.
func readHello(in *bufio.Reader) error {
	if err := expect(in, serverHello); err != nil {
		return err
	}
	name, err := readString(in)
	if err != nil {
		return err
	}
	if name != "ClickHouse" {
		return fmt.Errorf("not a ClickHouse: %q", name)
	}
	for range 3 {
		if _, err := binary.ReadUvarint(in); err != nil {
			return err
		}
	}
	return nil
}

func queryPacket(query string) []byte {
	b := []byte{clientQuery}
	b = appendString(b, "") // query id
	b = appendString(b, "") // end of settings
	b = append(b, 2, 0)     // stage complete, no compression
	b = appendString(b, query)
	b = append(b, clientData)
	b = appendString(b, "")                        // no external table
	b = append(b, 1, 0, 2, 0xff, 0xff, 0xff, 0xff) // block info: no overflow, bucket -1
	return append(b, 0, 0, 0)                      // end of info, 0 columns, 0 rows
}

// expect reads the kind of the next packet. An exception becomes an error with the server's text.
func expect(in *bufio.Reader, kind uint64) error {
	got, err := binary.ReadUvarint(in)
	switch {
	case err != nil:
		return err
	case got == kind:
		return nil
	case got != serverException:
		return fmt.Errorf("packet kind %d, expected %d", got, kind)
	}
	var code int32
	if err := binary.Read(in, binary.LittleEndian, &code); err != nil {
		return err
	}
	if _, err := readString(in); err != nil { // the exception's class
		return err
	}
	text, err := readString(in)
	if err != nil {
		return err
	}
	return fmt.Errorf("code %d: %s", code, firstLine(text))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// readString refuses lengths over 64 KiB: what listens there may be no ClickHouse.
func readString(in *bufio.Reader) (string, error) {
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return "", err
	}
	if n > 64<<10 {
		return "", errors.New("not the native protocol")
	}
	b := make([]byte, n)
	_, err = io.ReadFull(in, b)
	return string(b), err
}
