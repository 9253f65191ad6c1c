// In the audio thread: gathers about 40 ms of samples and hands them over with their peak.
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(Math.round(sampleRate * 0.04));
    this.filled = 0;
    this.running = true;
    this.port.onmessage = () => {
      this.running = false;
      this.hand(this.block.slice(0, this.filled));
      this.port.postMessage({ last: true });
    };
  }

  process([input]) {
    if (!this.running) return false;
    for (const sample of input[0] ?? []) {
      this.block[this.filled++] = sample;
      if (this.filled === this.block.length) {
        this.hand(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }

  hand(samples) {
    if (!samples.length) return;
    let peak = 0;
    for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
    this.port.postMessage({ samples, peak }, [samples.buffer]);
  }
}

registerProcessor("capture", Capture);
