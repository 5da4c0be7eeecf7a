// One scale on both axes, so that angles are seen as they are: the middle of y stays, its ends follow the shape of the frame.
if (figure.inner_width > 0 && figure.inner_height > 0) {
  const middle = (y.start + y.end) / 2, half = (x.end - x.start) * figure.inner_height / figure.inner_width / 2;
  y.setv({start: middle - half, end: middle + half});
}
