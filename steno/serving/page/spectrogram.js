// A spectrogram on a canvas: live sound scrolls in from the right, a file is drawn whole.
const SIZE = 512; // samples of a frame at 16 kHz
const RATE = 16000;
const FLOOR = -85; // dB that is black
const TOP = -15; // dB that is brightest
const LIVE_SECONDS = 10;

const window_ = Float32Array.from({ length: SIZE }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / SIZE));
const colours = Array.from({ length: 256 }, (_, n) => palette(n / 255));

export class Spectrogram {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
  }

  clear() {
    this.canvas.width = 500;
    this.canvas.height = SIZE / 2;
    this.paint = this.canvas.getContext("2d", { willReadFrequently: false });
    this.paint.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.rest = new Float32Array(0);
  }

  // Samples of a live stream: a column for each fiftieth of a second.
  push(samples, rate) {
    const hop = Math.round((RATE * LIVE_SECONDS) / this.canvas.width);
    const joined = join(this.rest, thin(samples, rate));
    const columns = Math.max(0, Math.floor((joined.length - SIZE) / hop) + 1);
    if (columns) {
      const { width, height } = this.canvas;
      this.paint.drawImage(this.canvas, -columns, 0);
      for (let c = 0; c < columns; c++) this.column(width - columns + c, joined, c * hop, height);
    }
    this.rest = joined.slice(columns * hop);
  }

  // A whole recording at RATE.
  draw(samples) {
    this.clear();
    const { width, height } = this.canvas;
    for (let x = 0; x < width; x++) this.column(x, samples, Math.floor((x * Math.max(0, samples.length - SIZE)) / width), height);
  }

  column(x, samples, at, height) {
    const power = powers(samples, at);
    const image = this.paint.createImageData(1, height);
    for (let y = 0; y < height; y++) {
      const decibel = 10 * Math.log10(power[height - 1 - y] + 1e-12);
      const [r, g, b] = colours[Math.max(0, Math.min(255, Math.round((255 * (decibel - FLOOR)) / (TOP - FLOOR))))];
      image.data.set([r, g, b, 255], 4 * y);
    }
    this.paint.putImageData(image, x, 0);
  }
}

export async function decode(file) {
  const context = new OfflineAudioContext(1, 1, RATE);
  return (await context.decodeAudioData(await file.arrayBuffer())).getChannelData(0);
}

// Good enough to look at: nearest samples after a mean over each step.
function thin(samples, rate) {
  const step = rate / RATE;
  const out = new Float32Array(Math.floor(samples.length / step));
  for (let i = 0; i < out.length; i++) {
    const from = Math.floor(i * step);
    const to = Math.max(from + 1, Math.floor((i + 1) * step));
    let sum = 0;
    for (let j = from; j < to; j++) sum += samples[j];
    out[i] = sum / (to - from);
  }
  return out;
}

function join(a, b) {
  const out = new Float32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

// Powers of a windowed frame, full scale at 0 dB: a radix-2 Fourier transform in place.
function powers(samples, at) {
  const re = new Float32Array(SIZE);
  const im = new Float32Array(SIZE);
  const bits = Math.log2(SIZE);
  for (let n = 0; n < SIZE; n++) {
    let reversed = 0;
    for (let b = 0; b < bits; b++) reversed |= ((n >> b) & 1) << (bits - 1 - b);
    re[reversed] = (samples[at + n] ?? 0) * window_[n];
  }
  for (let size = 2; size <= SIZE; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k++) {
      const c = Math.cos((-2 * Math.PI * k) / size);
      const s = Math.sin((-2 * Math.PI * k) / size);
      for (let n = k; n < SIZE; n += size) {
        const tr = re[n + half] * c - im[n + half] * s;
        const ti = re[n + half] * s + im[n + half] * c;
        re[n + half] = re[n] - tr;
        im[n + half] = im[n] - ti;
        re[n] += tr;
        im[n] += ti;
      }
    }
  }
  const scale = (4 / SIZE) ** 2;
  return re.slice(0, SIZE / 2).map((value, k) => (value * value + im[k] * im[k]) * scale);
}

// From black over violet and orange to pale yellow; brightness grows all the way.
function palette(x) {
  const stops = [[0, 0, 4], [60, 15, 112], [160, 45, 120], [240, 110, 90], [252, 253, 191]];
  const place = x * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(place));
  return stops[i].map((value, c) => Math.round(value + (place - i) * (stops[i + 1][c] - value)));
}
