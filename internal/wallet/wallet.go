// Package wallet is the engine: pure code that turns the state of a wallet, a
// command and an instant into the next state and the facts that it makes.
package wallet
