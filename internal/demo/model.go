package demo

import (
	"math"
	"math/rand/v2"
)

// The size of the problem: two spirals that wind around each other, and a
// network of one hidden layer that learns to tell them apart.
const (
	points = 3000
	hidden = 32
)

// model is what training changes, and so what a checkpoint holds.
type model struct {
	Step    int
	Weights []float64 // of each hidden unit: two inputs, bias, output; then the output's bias
	Squares []float64 // running mean of the squared gradients
}

// sample is one point and its spiral, 0 or 1.
type sample struct{ x, y, label float64 }

// spirals are the same points every time.
func spirals() []sample {
	random := rand.New(rand.NewPCG(1, 2))
	samples := make([]sample, points)
	for i := range samples {
		label := float64(i % 2)
		turn := 0.4 + 3.6*float64(i)/points
		angle := math.Pi * (turn + label)
		r := turn / 4
		samples[i] = sample{
			x:     r*math.Cos(angle) + 0.02*random.NormFloat64(),
			y:     r*math.Sin(angle) + 0.02*random.NormFloat64(),
			label: label,
		}
	}
	return samples
}

// newModel starts from the same small weights every time.
func newModel() *model {
	random := rand.New(rand.NewPCG(3, 4))
	m := &model{Weights: make([]float64, 4*hidden+1), Squares: make([]float64, 4*hidden+1)}
	for i := range m.Weights {
		m.Weights[i] = random.NormFloat64()
	}
	return m
}

// learn makes one step of gradient descent over all samples (RMSprop), and
// returns the mean loss before it.
func (m *model) learn(samples []sample) float64 {
	w, slope, loss := m.Weights, make([]float64, len(m.Weights)), 0.0
	var out [hidden]float64
	for _, s := range samples {
		z := w[4*hidden]
		for j := range hidden {
			out[j] = math.Tanh(4 * (w[4*j]*s.x + w[4*j+1]*s.y + w[4*j+2]))
			z += w[4*j+3] * out[j]
		}
		p := 1 / (1 + math.Exp(-z))
		loss -= math.Log(math.Max(1e-12, 1-math.Abs(s.label-p)))
		d := p - s.label
		for j := range hidden {
			back := d * w[4*j+3] * (1 - out[j]*out[j]) * 4
			slope[4*j] += back * s.x
			slope[4*j+1] += back * s.y
			slope[4*j+2] += back
			slope[4*j+3] += d * out[j]
		}
		slope[4*hidden] += d
	}
	for i, g := range slope {
		g /= points
		m.Squares[i] = 0.99*m.Squares[i] + 0.01*g*g
		w[i] -= 0.0003 * g / (math.Sqrt(m.Squares[i]) + 1e-8)
	}
	m.Step++
	return loss / points
}

// right is how many of the samples the model puts on their own spiral.
func (m *model) right(samples []sample) (n int) {
	w := m.Weights
	for _, s := range samples {
		z := w[4*hidden]
		for j := range hidden {
			z += w[4*j+3] * math.Tanh(4*(w[4*j]*s.x+w[4*j+1]*s.y+w[4*j+2]))
		}
		if (z > 0) == (s.label > 0) {
			n++
		}
	}
	return n
}
