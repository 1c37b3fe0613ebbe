package main

import (
	"bytes"
	"context"
	"flag"
	"io"

	"github.com/gofiber/fiber/v2"
)

// bareApp is Fiber as it comes, with its own limits and without the timeouts that consentd sets: what they cost
// is consentd's. It answers without doing anything: POST /bare → 204 once the body is read, GET /bare → a JSON document
// of the given size.
func bareApp(answer int) *fiber.App {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	body := bareAnswer(answer)
	app.Post("/bare", func(c *fiber.Ctx) error {
		if len(c.BodyRaw()) == 0 {
			return c.SendStatus(fiber.StatusBadRequest)
		}
		c.Status(fiber.StatusNoContent)
		return nil
	})
	app.Get("/bare", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Send(body)
	})
	app.Get("/healthz", func(c *fiber.Ctx) error { return c.SendStatus(fiber.StatusOK) })
	return app
}

// bareAnswer is a JSON string of exactly n bytes, at least 2.
func bareAnswer(n int) []byte {
	return append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, max(0, n-2))...), '"')
}

// serveBare is `bench bare`.
func serveBare(ctx context.Context, args []string, stderr io.Writer) error {
	fs := flag.NewFlagSet("bare", flag.ContinueOnError)
	fs.SetOutput(stderr)
	addr := fs.String("addr", "127.0.0.1:8090", "address to listen on")
	answer := fs.Int("answer", 256, "bytes GET /bare answers with")
	if err := fs.Parse(args); err != nil {
		return err
	}
	app := bareApp(*answer)
	defer context.AfterFunc(ctx, func() { app.Shutdown() })() // its error is Listen's
	return app.Listen(*addr)
}
