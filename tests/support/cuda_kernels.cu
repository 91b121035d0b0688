// The fake TensorRT's engine as a kernel for a real device: `probabilities_of` in CUDA.

// One thread for each cell of `stride` x `stride` pixels; batch and height count as one dimension.
extern "C" __global__ void probabilities(const unsigned char *crops, float *results, int cells,
                                         int columns, int stride, int classes) {
  int cell = blockIdx.x * blockDim.x + threadIdx.x;
  if (cell >= cells) return;
  int row = cell / columns * stride, column = cell % columns * stride;
  double means[3] = {0, 0, 0};
  for (int y = row; y < row + stride; y++)
    for (int x = column; x < column + stride; x++)
      for (int channel = 0; channel < 3; channel++)
        means[channel] += crops[(y * columns * stride + x) * 3 + channel];
  for (int channel = 0; channel < 3; channel++) means[channel] = means[channel] / (stride * stride) / 255;
  double largest = -1, total = 0;
  for (int one = 0; one < classes; one++) largest = fmax(largest, means[one % 3] * (1 + one));
  for (int one = 0; one < classes; one++) total += exp(means[one % 3] * (1 + one) - largest);
  for (int one = 0; one < classes; one++)
    results[cell * classes + one] = (float)(exp(means[one % 3] * (1 + one) - largest) / total);
}

// A write to an address where no memory is.
extern "C" __global__ void fault(int *address) { *(volatile int *)address = 1; }
