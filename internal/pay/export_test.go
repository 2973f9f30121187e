package pay

import "github.com/purserhq/purser/internal/db"

// TakeIn takes a notice in a unit of work of the test.
func (s *Service) TakeIn(tx *db.Tx, n Notice) error { return s.take(tx, n) }
