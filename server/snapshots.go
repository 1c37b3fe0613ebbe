package server

import (
	"errors"
	"io/fs"

	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
)

// snapshot serves a picture of a wording by its hash: as public as the wording, and as unchanging.
func (s *Server) snapshot(c *fiber.Ctx, v *view) error {
	png, err := s.picture(c.Params("hash"))
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(404, codeNotFound, "this server keeps no picture with this hash")
	}
	if err != nil {
		return err
	}
	h := &c.Context().Response.Header
	forever(h)
	h.SetContentType("image/png")
	c.Context().Response.SetBodyRaw(png)
	return nil
}

// picture reads a snapshot; fs.ErrNotExist when there is none.
func (s *Server) picture(hash string) ([]byte, error) {
	h, err := consent.ParseHash(hash)
	if err != nil || s.opt.Pictures == nil {
		return nil, fs.ErrNotExist
	}
	return s.opt.Pictures(h)
}
