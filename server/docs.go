package server

import "github.com/gofiber/fiber/v2"

type pages struct{}

func (p *pages) build([]Code) error                   { return nil }
func (s *Server) openapi(c *fiber.Ctx, _ *view) error { return nil }
func (s *Server) docs(c *fiber.Ctx, _ *view) error    { return nil }
