package db

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// crashURL names the database of a child that writes until it is killed.
const crashURL = "PURSER_DB_CRASH_URL"

func TestMain(m *testing.M) {
	if url := os.Getenv(crashURL); url != "" {
		fmt.Println(writeForEver(url))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForEver has 32 callers write numbers and say each when it is durable.
func writeForEver(url string) error {
	d, err := Open(context.Background(), Config{URL: url})
	if err != nil {
		return err
	}
	first, err := strconv.Atoi(os.Getenv("FIRST"))
	if err != nil {
		return err
	}
	if err := d.Update(context.Background(), makeNotes); err != nil {
		return err
	}
	failed := make(chan error)
	for caller := range 32 {
		go func() {
			for no := first + caller; ; no += 32 {
				if err := d.Update(context.Background(), inserting(no)); err != nil {
					failed <- err
					return
				}
				fmt.Println(no)
			}
		}()
	}
	return <-failed
}

// A server killed in the middle of its commits has lost nothing that it had
// acknowledged, and the next one opens the database at once.
func TestKilledInTheMiddle(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "purser.db")
	rounds := 5
	if os.Getenv("PURSER_SOAK") != "" {
		rounds = 100
	}
	acknowledged := map[int]bool{}
	for round := range rounds {
		for _, no := range killed(t, url, round*1_000_000, 300+round*211%2000) {
			acknowledged[no] = true
		}
		d := open(t, Config{URL: url})
		there := numbers(t, d)
		for no := range acknowledged {
			if !there[no] {
				t.Fatalf("round %d: %d was acknowledged and is gone", round, no)
			}
		}
		closed(t, d)
	}
	t.Logf("%d units were acknowledged in %d rounds, and none is lost", len(acknowledged), rounds)
}

// killed runs the child, kills it after so many answers, and returns all answers.
func killed(t *testing.T, url string, first, answers int) (nos []int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashURL+"="+url, "FIRST="+strconv.Itoa(first))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // the end; half a line is no answer
			return nos
		}
		no, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("the child says %q", line)
		}
		if nos = append(nos, no); len(nos) == answers {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func numbers(t *testing.T, d *DB) map[int]bool {
	t.Helper()
	there := map[int]bool{}
	err := d.View(t.Context(), func(tx *Tx) error {
		rows, err := tx.Query(`SELECT no FROM notes`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var no int
			if err := rows.Scan(&no); err != nil {
				return err
			}
			there[no] = true
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}
