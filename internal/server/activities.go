package server

func (s *Server) activityCalls() {}

func (s *Server) usageCalls() {}
