package sim

// remote is a database that the server does not take with it when it dies: it is stood
// still at a commit, cut off, and put away, without a word to the database.
type remote struct {
	Database
	still chan struct{} // closed when the server stands still at its death
	freed chan struct{} // closed when it may run into its end
	busy  chan struct{} // closed when what it was asked for has ended
}

// begin is the begin of a server's life.
func (r *remote) begin() { r.still, r.freed, r.busy = make(chan struct{}), make(chan struct{}), nil }

// stand stops the server where it is, until it is put away.
func (r *remote) stand() {
	close(r.still)
	<-r.freed
}

// outlives runs what a server is asked for; false if it dies before it has answered.
func (r *remote) outlives(ask func()) bool {
	ended := make(chan struct{})
	r.busy = ended
	go func() {
		defer close(ended)
		ask()
	}()
	select {
	case <-ended:
		return true
	case <-r.still:
		return false
	}
}

// kill cuts a server off, so that nothing it does still counts, and puts it away. What it says
// about that is of no interest.
func (r *remote) kill(put func() error) error {
	if err := r.Cut(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = put()
	}()
	close(r.freed)
	<-ended
	if r.busy != nil {
		<-r.busy
	}
	return r.Mend()
}
