package usage_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/usage"
)

const whole = `{"specversion":"1.0","id":"1","source":"/m","type":"t","subject":"s","time":"2026-11-22T09:00:00.123456789+02:00",
	"datacontenttype":"application/json; charset=utf-8","dataschema":"https://example.org/s","traceparent":"00-1","count":3,"nothing":null,
	"data":{"sku":"gpu.h100","quantity":12.5,"tier":"spot","region":"eu","project":"p","user":"u","job":"j"}}`

func TestDecode(t *testing.T) {
	e, problem := usage.Decode([]byte(whole))
	if problem != nil {
		t.Fatal(problem)
	}
	want := `{"Source":"/m","ID":"1","Type":"t","Subject":"s","At":1795330800123456789,"SKU":"gpu.h100","Tier":"spot","Region":"eu","Quantity":12500000,"Project":"p","User":"u","Job":"j"}`
	if got := show(e); got != want {
		t.Errorf("read\n%s\nwant\n%s", got, want)
	}
	e, problem = usage.Decode([]byte(`{"specversion":"1.0","id":"1","source":"s","type":"t","time":null,"data":{"sku":"a.b","quantity":"0.000001"}}`))
	if problem != nil || e.At != 0 || e.Quantity != 1 {
		t.Errorf("the least event is %+v, %v", e, problem)
	}
}

// Every way of breaking the event above points at what is wrong.
func TestBrokenEvents(t *testing.T) {
	for _, c := range []struct{ old, with, pointer, says string }{
		{`"1.0"`, `"0.3"`, "/specversion", "not a version"},
		{`"1.0"`, `1.0`, "/specversion", "must be a text"},
		{`"specversion":"1.0",`, ``, "/specversion", "is missing"},
		{`"id":"1",`, ``, "/id", "is missing"},
		{`"id":"1"`, `"id":""`, "/id", "is empty"},
		{`"id":"1"`, `"id":null`, "/id", ""},
		{`"id":"1"`, `"id":1`, "/id", "must be a text"},
		{`"id":"1"`, `"id":"` + strings.Repeat("x", 201) + `"`, "/id", "longer than 200"},
		{`"id":"1"`, `"id":"a\u0000"`, "/id", "control"},
		{`"id":"1"`, `"id":"1","id":"2"`, "/id", "twice"},
		{`"/m"`, `"/a b"`, "/source", "no blanks"},
		{`"source":"/m",`, ``, "/source", "is missing"},
		{`"type":"t",`, ``, "/type", "is missing"},
		{`2026-11-22T09`, `2026-11-31T09`, "/time", "not an instant"},
		{`+02:00`, ``, "/time", "not an instant"},
		{`789+`, `7891+`, "/time", "nine fractional digits"},
		{`.123`, `,123`, "/time", "not an instant"},
		{`2026-11`, `1926-11`, "/time", "1970"},
		{`"application/json; charset=utf-8"`, `"text/plain"`, "/datacontenttype", "usage is JSON"},
		{`"traceparent"`, `"Trace-Parent"`, "/Trace-Parent", "not known"},
		{`"count":3`, `"count":{}`, "/count", "further attribute"},
		{`"count":3`, `"data_base64":"e30="`, "/data_base64", "send it as data"},
		{`"sku":"gpu.h100",`, ``, "/data/sku", "is missing"},
		{`"sku":"gpu.h100"`, `"sku":7`, "/data/sku", "must be a text"},
		{`"quantity":12.5,`, ``, "/data/quantity", "is missing"},
		{`12.5`, `0`, "/data/quantity", "more than 0"},
		{`12.5`, `-0.0`, "/data/quantity", "more than 0"},
		{`12.5`, `-1`, "/data/quantity", "is -1"},
		{`12.5`, `"1e3"`, "/data/quantity", "not a decimal number"},
		{`12.5`, `1e999`, "/data/quantity", "not a decimal number"},
		{`12.5`, `1e-7`, "/data/quantity", "at most 6"},
		{`12.5`, `1e20`, "/data/quantity", "too large"},
		{`12.5`, `"NaN"`, "/data/quantity", "not a decimal number"},
		{`12.5`, `""`, "/data/quantity", "not a decimal number"},
		{`12.5`, `true`, "/data/quantity", "not a decimal number"},
		{`12.5`, `[1]`, "/data/quantity", "not a decimal number"},
		{`12.5`, `0.0000001`, "/data/quantity", "at most 6"},
		{`12.5`, `9223372036855`, "/data/quantity", "too large"},
		{`12.5`, strings.Repeat("9", 41), "/data/quantity", "too long"},
		{`"job":"j"`, `"jobs":"j"`, "/data/jobs", "not known"},
		{`"job":"j"`, `"job":"j","job":"k"`, "/data/job", "twice"},
		{`"job":"j"`, `"job":"a\nb"`, "/data/job", "control"},
		{`"job":"j"`, `"a/b~c":1`, "/data/a~1b~0c", "not known"},
		{`"project":"p"`, `"project":["p"]`, "/data/project", "must be a text"},
	} {
		raw := strings.Replace(whole, c.old, c.with, 1)
		if raw == whole {
			t.Fatalf("%s is not in the event", c.old)
		}
		e, problem := usage.Decode([]byte(raw))
		if problem == nil || problem.Kind != fault.Invalid || problem.Fields[0].Pointer != c.pointer || !strings.Contains(problem.Message, c.says) {
			t.Errorf("%s for %s: %v, %+v", c.with, c.old, problem, problem)
		}
		if c.pointer != "/id" && e.ID != "1" {
			t.Errorf("%s for %s: nobody knows which event it was", c.with, c.old)
		}
	}
	for raw, says := range map[string]string{
		"17": "not a JSON object", "null": "not a JSON object", `"x"`: "not a JSON object", "[]": "not a JSON object", "{\"a\":\"\xff\"}": "not valid UTF-8",
		`{"specversion":"1.0","id":"1","source":"s","type":"t"}`:            "/data: is missing",
		`{"specversion":"1.0","id":"1","source":"s","type":"t","data":[1]}`: "/data: is not a JSON object",
	} {
		if _, problem := usage.Decode([]byte(raw)); problem == nil || !strings.Contains(problem.Message, says) {
			t.Errorf("%s: %v", raw, problem)
		}
	}
}

func TestMessages(t *testing.T) {
	one := event("1", "", "a.b", "1")
	for _, c := range []struct {
		kind, body string
		events     int
		says       string
	}{
		{"application/cloudevents+json", one, 1, ""},
		{"application/cloudevents+json; charset=UTF-8", " \n" + one, 1, ""},
		{"application/cloudevents-batch+json", "[" + one + "," + one + "]", 2, ""},
		{"application/cloudevents-batch+json", "[]", 0, ""},
		{"application/json", one, 1, ""},
		{"", "[" + one + ", 17]", 2, ""},
		{"application/cloudevents+json", "[" + one + "]", 0, "not one event"},
		{"application/cloudevents-batch+json", one, 0, "not a list"},
		{"application/cloudevents-batch+json", "[" + one, 0, "not complete"},
		{"application/cloudevents-batch+json", "[" + one + ",}", 0, "not JSON"},
		{"application/cloudevents-batch+json", "[" + one + "]]", 0, "goes on"},
		{"application/cloudevents-batch+json", "", 0, "not a list"},
		{"application/json", one + "x", 0, "goes on"},
		{"application/json", "", 0, "not one event"},
		{"application/json; charset=latin1", one, 0, "and not as"},
		{"text/plain", one, 0, "and not as"},
		{"application/cloudevents+avro", one, 0, "and not as"},
		{";;", one, 0, "and not as"},
	} {
		readings, err := usage.Read(usage.Message{ContentType: c.kind, Body: strings.NewReader(c.body)})
		if c.says == "" && (err != nil || len(readings) != c.events) {
			t.Errorf("%s %s: %d events, %v", c.kind, c.body, len(readings), err)
		}
		if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s %.20s: %v, want %q", c.kind, c.body, err, c.says)
		}
	}
}

// In the binary mode the attributes are headers.
func TestBinaryMode(t *testing.T) {
	header := http.Header{}
	for name, value := range map[string]string{"Specversion": "1.0", "Id": "caf%C3%A9", "Source": "/m", "Type": "t", "Time": "2026-11-22T09:00:00Z"} {
		header.Set("Ce-"+name, value)
	}
	message := usage.Message{ContentType: "application/json", Header: header.Get, Body: strings.NewReader(`{"sku":"a.b","quantity":2}`)}
	readings, err := usage.Read(message)
	if err != nil || readings[0].Fault != nil {
		t.Fatal(err, readings)
	}
	if e := readings[0].Event; e.ID != "café" || e.Source != "/m" || e.At == 0 || e.Quantity != 2e6 {
		t.Errorf("read %+v", e)
	}
	header.Del("Ce-Source")
	message.Body = strings.NewReader(`{"sku":"a.b","quantity":2}`)
	if readings, err = usage.Read(message); err != nil || readings[0].Fault.Fields[0].Pointer != "/source" {
		t.Error(err, readings)
	}
	message.Body = strings.NewReader(`{"sku"`)
	if _, err = usage.Read(message); err == nil {
		t.Error("half a body was taken")
	}
}

// Whatever comes is told apart without a panic, and what is taken is sound.
func FuzzRead(f *testing.F) {
	f.Add("application/json", whole)
	f.Add("application/cloudevents-batch+json", "["+whole+"]")
	f.Fuzz(func(t *testing.T, kind, body string) {
		readings, err := usage.Read(usage.Message{ContentType: kind, Body: strings.NewReader(body)})
		if err != nil && fault.Of(err) == nil {
			t.Fatalf("not a fault: %v", err)
		}
		for _, r := range readings {
			if r.Fault == nil && (r.Event.ID == "" || r.Event.Source == "" || r.Event.Quantity <= 0 || r.Event.SKU == "") {
				t.Fatalf("taken: %+v", r.Event)
			}
		}
	})
}
